//! Serves recorded exchanges. A [`Replay`] is a folder of recordings.

mod case;
mod load;
mod unframe;

use std::{
    io,
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use bytes::Bytes;
use serde_json::Value;

use self::case::Case;
pub(super) use self::case::Recorded;
use super::{
    fault::{Effect, Fault},
    pace::Pace,
    playback::{Finish, Plan, Step},
    script::ApiError,
};

/// The maximum number of differences that the error for a request without a matching recording
/// lists.
const SHOWN_DIFFERENCES: usize = 3;

/// Recorded exchanges. All clones share the state of which recording is next.
#[derive(Clone, Debug)]
pub struct Replay(Arc<Vec<Case>>);

impl Replay {
    /// Loads a folder with `request.json`, `meta.json` and `response.body`, or a tree of such
    /// folders.
    ///
    /// Fails if a file cannot be read or is invalid, or if there is no recording. The error names
    /// the file.
    pub fn load(folder: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self(Arc::new(load::tree(folder.as_ref())?)))
    }

    /// Returns the number of recordings.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are no recordings. This is never true after loading.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the recorded answer for this request. If there are several recordings of the
    /// request, they are used in turn.
    pub(super) fn find(
        &self,
        model_id: &str,
        request: &Value,
        stream: bool,
    ) -> Result<Recorded, ApiError> {
        let same = |case: &&Case| case.model_id == model_id && same(&case.request, request);
        let all: Vec<&Case> = self.0.iter().filter(same).collect();
        let answers_it = |case: &&Case| case.status != 200 || case.streamed == stream;
        let own: Vec<&Case> = all.iter().copied().filter(answers_it).collect();
        let candidates = if own.is_empty() { all } else { own };
        let Some(first) = candidates.first() else {
            return Err(self.nothing_for(model_id, request));
        };
        let turn = first.turns.fetch_add(1, Ordering::Relaxed) % candidates.len();
        candidates[turn].answer(stream)
    }

    /// Returns the error for a request that matches no recording. It lists the differences from the
    /// closest recording.
    fn nothing_for(&self, model_id: &str, request: &Value) -> ApiError {
        let distance = |case: &&Case| {
            let mut places = Vec::new();
            differences(&case.request, request, String::new(), &mut places);
            (case.model_id != model_id, places.len())
        };
        let Some(nearest) = self.0.iter().min_by_key(distance) else {
            return ApiError::validation("No recording matches: there is none.");
        };
        let mut places = Vec::new();
        differences(&nearest.request, request, String::new(), &mut places);
        let count = places.len();
        places.truncate(SHOWN_DIFFERENCES);
        let model = if nearest.model_id == model_id {
            "has the same model ID".to_owned()
        } else {
            format!("is for model ID {:?}, not {model_id:?}", nearest.model_id)
        };
        let body = match count {
            0 => "the same body".to_owned(),
            _ => format!(
                "a body that differs in {count} places, such as: {}",
                places.join(", ")
            ),
        };
        ApiError::validation(format!(
            "No recording matches this request. The closest one, {}, {model} and {body}.",
            nearest.name
        ))
    }
}

/// Returns the plan that sends the recorded frames at a pace. A fault that ends the stream takes
/// effect after all frames.
pub(super) fn plan(bytes: Bytes, pace: Pace, fault: Option<Fault>) -> Plan {
    let frames = unframe::frames(bytes).enumerate();
    let steps = frames.map(|(index, (bytes, whole))| Step {
        wait: match index {
            0 => pace.time_to_first_token,
            _ if unframe::is_delta(&bytes) => pace.inter_token_delay,
            _ => std::time::Duration::ZERO,
        },
        bytes,
        events: u64::from(whole),
    });
    let steps = steps.collect();
    let finish = match fault.map(Fault::effect) {
        Some(Effect::Reset) => Finish::Break,
        Some(Effect::Stall) => Finish::Stall,
        _ => Finish::Complete,
    };
    Plan { steps, finish }
}

/// Returns whether two values are equal. `0` and `0.0` count as equal, because SDKs write the same
/// number in different ways.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => {
            x == y || (x.is_f64() != y.is_f64() && x.as_f64() == y.as_f64())
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(name, value)| b.get(name).is_some_and(|other| same(value, other)))
        }
        _ => a == b,
    }
}

/// Returns the paths at which two values differ.
fn differences(recorded: &Value, asked: &Value, path: String, places: &mut Vec<String>) {
    match (recorded, asked) {
        (Value::Object(a), Value::Object(b)) => {
            for name in a
                .keys()
                .chain(b.keys().filter(|name| !a.contains_key(*name)))
            {
                let dot = if path.is_empty() { "" } else { "." };
                let (a, b) = (a.get(name), b.get(name));
                differences(
                    a.unwrap_or(&Value::Null),
                    b.unwrap_or(&Value::Null),
                    format!("{path}{dot}{name}"),
                    places,
                );
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            for index in 0..a.len().max(b.len()) {
                let (a, b) = (a.get(index), b.get(index));
                differences(
                    a.unwrap_or(&Value::Null),
                    b.unwrap_or(&Value::Null),
                    format!("{path}[{index}]"),
                    places,
                );
            }
        }
        _ if !same(recorded, asked) => places.push(path),
        _ => {}
    }
}
