//! Generates numbers that match their schema.

use serde_json::{Map, Number, Value};

/// Returns a number for a property that the prompt does not mention. Each `index` returns another
/// number.
pub(super) fn generate(schema: &Map<String, Value>, whole: bool, index: usize) -> Value {
    let limit = |name: &str| schema.get(name).and_then(Value::as_f64);
    let step = limit("multipleOf").filter(|step| *step > 0.0);
    let step = match (step, whole) {
        (Some(step), true) => whole_multiple(step),
        (Some(step), false) => step,
        (None, true) => 1.0,
        (None, false) => small_step(limit),
    };
    let lowest = match (limit("minimum"), limit("exclusiveMinimum")) {
        (Some(a), Some(b)) => Some(a.max(b)),
        (a, b) => a.or(b),
    };
    let highest = match (limit("maximum"), limit("exclusiveMaximum")) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    let mut times = match (lowest, highest) {
        (Some(lowest), _) => (lowest / step).ceil(),
        (None, Some(highest)) if highest < step => (highest / step).floor(),
        _ => 1.0,
    };
    let allowed = |value: f64| {
        limit("exclusiveMinimum").is_none_or(|min| value > min)
            && limit("exclusiveMaximum").is_none_or(|max| value < max)
    };
    if !allowed(times * step) {
        times += if lowest.is_some() { 1.0 } else { -1.0 };
    }
    let index = f64::from(u16::try_from(index).unwrap_or(u16::MAX));
    let up = (times + index) * step;
    let value = match highest {
        Some(highest) if up > highest || !allowed(up) => match lowest {
            None => (times - index) * step,
            Some(_) => times * step,
        },
        _ => up,
    };
    json(value, whole)
}

/// Returns the smallest multiple of the step that is an integer: 1 for 0.5, 3 for 1.5.
fn whole_multiple(step: f64) -> f64 {
    (1_u16..=1000)
        .map(|times| step * f64::from(times))
        .find(|multiple| (multiple - multiple.round()).abs() < 1e-9)
        .map_or(step, f64::round)
}

/// Returns 1, or less if the limits do not allow 1.
fn small_step(limit: impl Fn(&str) -> Option<f64>) -> f64 {
    let lowest = limit("minimum").or_else(|| limit("exclusiveMinimum"));
    let highest = limit("maximum").or_else(|| limit("exclusiveMaximum"));
    match (lowest, highest) {
        (Some(lowest), Some(highest)) if highest - lowest < 2.0 && highest > lowest => {
            (highest - lowest) / 4.0
        }
        _ => 1.0,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "only whole numbers that a float holds exactly are cast"
)]
fn json(value: f64, whole: bool) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if (whole || value.fract() == 0.0) && value.abs() <= EXACT {
        return Value::from(value as i64);
    }
    Number::from_f64(value).map_or(Value::from(0), Value::Number)
}
