//! Every way in which a call can end, and what the caller receives.

mod complete;
mod exact;
mod recording;
mod refused;
mod size;
mod spoiled;
mod whole;

use tonic::Code;

use crate::harness::{Answer, Details, Gateway};

/// What the caller of a failed call receives.
struct Told {
    fault: &'static str,
    code: Code,
    reason: &'static str,
    /// The retry delay in milliseconds. `None`: no retry, or the caller decides.
    retry_ms: Option<i64>,
    exception: &'static str,
    http_status: i32,
    original_status: i32,
}

const fn told(
    fault: &'static str,
    code: Code,
    reason: &'static str,
    exception: &'static str,
) -> Told {
    Told {
        fault,
        code,
        reason,
        retry_ms: None,
        exception,
        http_status: 0,
        original_status: 0,
    }
}

impl Told {
    const fn http(self, http_status: i32) -> Self {
        Self {
            http_status,
            ..self
        }
    }

    const fn original(self, original_status: i32) -> Self {
        Self {
            original_status,
            ..self
        }
    }

    const fn after(self, ms: i64) -> Self {
        Self {
            retry_ms: Some(ms),
            ..self
        }
    }

    /// Checks the whole response, and returns the details.
    #[track_caller]
    fn reports(&self, answer: &Answer, phase: &str) -> Details {
        let fault = self.fault;
        assert_eq!(answer.code(), self.code, "{fault}: {:?}", answer.end);
        let details = answer.details();
        assert_eq!(details.reason(), self.reason, "{fault}");
        assert_eq!(details.phase(), phase, "{fault}");

        let wait = details.retry().map(|info| info.retry_delay.unwrap());
        let wait_ms = wait.map(|wait| wait.seconds * 1000 + i64::from(wait.nanos) / 1_000_000);
        assert_eq!(wait_ms, self.retry_ms, "{fault}: RetryInfo");
        assert_eq!(
            details.pushback_ms,
            Some(self.retry_ms.unwrap_or(-1)),
            "{fault}: pushback"
        );

        let about_quota = matches!(self.reason, "UPSTREAM_THROTTLED" | "UPSTREAM_QUOTA");
        assert_eq!(
            details.quota().is_some(),
            about_quota,
            "{fault}: QuotaFailure"
        );
        let about_resource = self.reason == "UPSTREAM_RESOURCE";
        assert_eq!(
            details.resource().is_some(),
            about_resource,
            "{fault}: ResourceInfo"
        );
        let helps = self.reason == "INFERENCE_PROFILE_REQUIRED";
        assert_eq!(details.help().is_some(), helps, "{fault}: Help");
        assert_eq!(details.fields(), [""; 0], "{fault}: BadRequest");
        assert!(details.request().is_some(), "{fault}: RequestInfo");

        let upstream = details.upstream().unwrap();
        assert_eq!(upstream.exception, self.exception, "{fault}");
        assert_eq!(upstream.http_status, self.http_status, "{fault}");
        assert_eq!(
            upstream.original_status_code, self.original_status,
            "{fault}"
        );
        assert_eq!(phase_name(upstream.phase()), phase, "{fault}");
        let [attempt] = upstream.attempts.as_slice() else {
            panic!("{fault}: {:?}", upstream.attempts);
        };
        assert_eq!(attempt.failure_reason, self.reason, "{fault}");
        assert_eq!(attempt.source_region, "us-east-1", "{fault}");
        assert!(attempt.duration.is_some(), "{fault}");
        details
    }

    /// Like [`Self::reports`]. Also checks that the details name the only call that the emulator
    /// received.
    async fn reports_one_call(&self, gateway: &Gateway, answer: &Answer, phase: &str) -> Details {
        let details = self.reports(answer, phase);
        let calls = gateway.ended(1).await;
        assert_eq!(calls.len(), 1, "{}", self.fault);
        let upstream = details.upstream().unwrap();
        assert_eq!(
            upstream.bedrock_request_id, calls[0].request_id,
            "{}",
            self.fault
        );
        assert_eq!(
            upstream.attempts[0].model_id, calls[0].model_id,
            "{}",
            self.fault
        );
        gateway.emulator.clear_calls();
        details
    }
}

fn phase_name(phase: bedrock_grpc::pb::UpstreamPhase) -> &'static str {
    use bedrock_grpc::pb::UpstreamPhase as Phase;
    match phase {
        Phase::Unspecified => "",
        Phase::Connect => "connect",
        Phase::BeforeFirstEvent => "before-first-event",
        Phase::MidStream => "mid-stream",
    }
}
