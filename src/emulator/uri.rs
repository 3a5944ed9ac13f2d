//! Paths: which operation is called, and on what.

use http::Method;

/// An operation, and the identifier in its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Converse(String),
    ConverseStream(String),
    ListInferenceProfiles,
    GetInferenceProfile(String),
    ListFoundationModels,
    GetFoundationModel(String),
    /// The emulator's own, with what is behind `/_emulator/` in its path.
    Own(String),
    Unknown,
}

impl Operation {
    /// What a request line asks for.
    pub(super) fn of(method: &Method, path: &str) -> Self {
        let named = |rest: &str| Some(percent_decode(rest)).filter(|id| !id.is_empty());
        // An ARN holds a slash that some clients do not encode, so the identifier is all between the known ends.
        let model = |end: &str| named(path.strip_prefix("/model/")?.strip_suffix(end)?);
        if let Some(own) = path.strip_prefix("/_emulator/") {
            return Self::Own(own.to_owned());
        }
        let found = match *method {
            Method::POST => model("/converse-stream")
                .map(Self::ConverseStream)
                .or_else(|| model("/converse").map(Self::Converse)),
            Method::GET => match path {
                "/inference-profiles" => Some(Self::ListInferenceProfiles),
                "/foundation-models" => Some(Self::ListFoundationModels),
                _ => path
                    .strip_prefix("/inference-profiles/")
                    .and_then(named)
                    .map(Self::GetInferenceProfile)
                    .or_else(|| {
                        let model = path.strip_prefix("/foundation-models/").and_then(named);
                        model.map(Self::GetFoundationModel)
                    }),
            },
            _ => None,
        };
        found.unwrap_or(Self::Unknown)
    }

    /// The API's name for it; empty for what is no operation of the API's.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Converse(_) => "Converse",
            Self::ConverseStream(_) => "ConverseStream",
            Self::ListInferenceProfiles => "ListInferenceProfiles",
            Self::GetInferenceProfile(_) => "GetInferenceProfile",
            Self::ListFoundationModels => "ListFoundationModels",
            Self::GetFoundationModel(_) => "GetFoundationModel",
            Self::Own(_) | Self::Unknown => "",
        }
    }

    /// The identifier in its path, decoded.
    pub(super) fn identifier(&self) -> &str {
        match self {
            Self::Converse(id)
            | Self::ConverseStream(id)
            | Self::GetInferenceProfile(id)
            | Self::GetFoundationModel(id) => id,
            _ => "",
        }
    }
}

/// The text behind percent-encoding. What is not valid encoding stays as it is.
pub(super) fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = |i: usize| char::from(*bytes.get(i)?).to_digit(16);
        match (byte, hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                at += 3;
            }
            _ => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// The first value of a query parameter, decoded.
pub(super) fn query(query: &str, name: &str) -> Option<String> {
    let pairs = query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut values = pairs.filter(|(key, _)| percent_decode(key) == name);
    values
        .next()
        .map(|(_, value)| percent_decode(&value.replace('+', " ")))
}
