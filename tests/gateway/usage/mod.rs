//! Usage records: exactly one for each call of an identified caller, however the call ends.

mod outcomes;
pub(crate) mod records;
mod report;
mod sinks;
mod sums;
mod units;

use bedrock_emulator::Options;
use bedrock_grpc::{
    access::key::Secret,
    config::{Config, RecordFile},
};
use serde_json::Value;

use self::records::Records;
use crate::harness::{Gateway, access_of, key_of};

/// A gateway with the caller `team-a`, which writes its records to a pipe.
struct Recorded {
    gateway: Gateway,
    key: Secret,
    records: Records,
}

async fn recorded(change: impl FnOnce(&mut Config, &mut Options)) -> Recorded {
    let (key, records) = (key_of(), Records::create());
    let gateway = Gateway::with(|config, options| {
        config.access = access_of(&[("team-a", &key)]);
        config.usage_records.file = Some(RecordFile::Path(records.path()));
        change(config, options);
    })
    .await;
    Recorded {
        gateway,
        key,
        records,
    }
}

impl Recorded {
    /// The next record, which must have this outcome.
    #[track_caller]
    fn next(&mut self, code: &str, reason: &str) -> impl Future<Output = Value> {
        let caller = std::panic::Location::caller();
        async move {
            let record = self.records.next().await;
            let outcome = (&record["code"], &record["reason"]);
            assert_eq!(outcome, (&code.into(), &reason.into()), "{record} {caller}");
            record
        }
    }

    /// Stops the gateway and checks that there were no further records.
    async fn ends(mut self) {
        self.gateway.stop.drain.cancel();
        self.gateway.finished().await;
        assert_eq!(self.records.rest(), [Value::Null; 0]);
    }
}
