//! Parses paths: which operation is called, and with which identifier.

use http::Method;

/// An operation, with the identifiers in its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Converse(String),
    ConverseStream(String),
    InvokeModel(String),
    InvokeModelStream(String),
    CountTokens(String),
    /// ApplyGuardrail, with the guardrail and its version.
    ApplyGuardrail(String, String),
    ListInferenceProfiles,
    GetInferenceProfile(String),
    CreateInferenceProfile,
    DeleteInferenceProfile(String),
    TagResource,
    UntagResource,
    ListTagsForResource,
    ListFoundationModels,
    GetFoundationModel(String),
    ListProvisionedModelThroughputs,
    GetProvisionedModelThroughput(String),
    /// AWS STS. The body names the action.
    Sts,
    /// A call of the control API, with the part of the path after `/_emulator/`.
    Own(String),
    Unknown,
}

impl Operation {
    /// Returns whether the operation runs a model.
    pub(super) const fn runs_model(&self) -> bool {
        matches!(
            self,
            Self::Converse(_)
                | Self::ConverseStream(_)
                | Self::InvokeModel(_)
                | Self::InvokeModelStream(_)
        )
    }

    /// Returns the operation that a request line names.
    pub(super) fn of(method: &Method, path: &str) -> Self {
        if let Some(own) = path.strip_prefix("/_emulator/") {
            return Self::Own(own.to_owned());
        }
        let found = match *method {
            Method::POST => Self::post(path),
            Method::GET => Self::get(path),
            Method::DELETE => named(path, "/inference-profiles/").map(Self::DeleteInferenceProfile),
            _ => None,
        };
        found.unwrap_or(Self::Unknown)
    }

    fn post(path: &str) -> Option<Self> {
        // Some clients do not encode the slash in an ARN, so the identifier is everything between
        // the known prefix and suffix.
        let model = |end: &str| named(path.strip_suffix(end)?, "/model/");
        match path {
            "/" => Some(Self::Sts),
            "/inference-profiles" => Some(Self::CreateInferenceProfile),
            "/tagResource" => Some(Self::TagResource),
            "/untagResource" => Some(Self::UntagResource),
            "/listTagsForResource" => Some(Self::ListTagsForResource),
            _ if path.starts_with("/guardrail/") => applied(path),
            _ => model("/converse-stream")
                .map(Self::ConverseStream)
                .or_else(|| model("/converse").map(Self::Converse))
                .or_else(|| model("/invoke").map(Self::InvokeModel))
                .or_else(|| model("/invoke-with-response-stream").map(Self::InvokeModelStream))
                .or_else(|| model("/count-tokens").map(Self::CountTokens)),
        }
    }

    fn get(path: &str) -> Option<Self> {
        let of = |start: &str| named(path, start);
        match path {
            "/inference-profiles" => Some(Self::ListInferenceProfiles),
            "/foundation-models" => Some(Self::ListFoundationModels),
            "/provisioned-model-throughputs" => Some(Self::ListProvisionedModelThroughputs),
            _ => of("/inference-profiles/")
                .map(Self::GetInferenceProfile)
                .or_else(|| of("/foundation-models/").map(Self::GetFoundationModel))
                .or_else(|| {
                    of("/provisioned-model-throughput/").map(Self::GetProvisionedModelThroughput)
                }),
        }
    }

    /// Returns the name of the operation in the API. Empty if there is no such operation.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Converse(_) => "Converse",
            Self::ConverseStream(_) => "ConverseStream",
            Self::InvokeModel(_) => "InvokeModel",
            Self::InvokeModelStream(_) => "InvokeModelWithResponseStream",
            Self::CountTokens(_) => "CountTokens",
            Self::ApplyGuardrail(..) => "ApplyGuardrail",
            Self::ListInferenceProfiles => "ListInferenceProfiles",
            Self::GetInferenceProfile(_) => "GetInferenceProfile",
            Self::CreateInferenceProfile => "CreateInferenceProfile",
            Self::DeleteInferenceProfile(_) => "DeleteInferenceProfile",
            Self::TagResource => "TagResource",
            Self::UntagResource => "UntagResource",
            Self::ListTagsForResource => "ListTagsForResource",
            Self::ListFoundationModels => "ListFoundationModels",
            Self::GetFoundationModel(_) => "GetFoundationModel",
            Self::ListProvisionedModelThroughputs => "ListProvisionedModelThroughputs",
            Self::GetProvisionedModelThroughput(_) => "GetProvisionedModelThroughput",
            Self::Sts => "Sts",
            Self::Own(_) | Self::Unknown => "",
        }
    }

    /// Returns the decoded identifier in the path.
    pub(super) fn identifier(&self) -> &str {
        match self {
            Self::Converse(id)
            | Self::ConverseStream(id)
            | Self::InvokeModel(id)
            | Self::InvokeModelStream(id)
            | Self::CountTokens(id)
            | Self::ApplyGuardrail(id, _)
            | Self::GetInferenceProfile(id)
            | Self::DeleteInferenceProfile(id)
            | Self::GetFoundationModel(id)
            | Self::GetProvisionedModelThroughput(id) => id,
            _ => "",
        }
    }
}

/// Parses the path of ApplyGuardrail, such as `/guardrail/ID/version/1/apply`.
fn applied(path: &str) -> Option<Operation> {
    let (guardrail, version) = path.strip_suffix("/apply")?.rsplit_once("/version/")?;
    let identifier = named(guardrail, "/guardrail/")?;
    Some(Operation::ApplyGuardrail(
        identifier,
        percent_decode(version),
    ))
}

/// Returns the identifier after a prefix of the path, decoded.
fn named(path: &str, start: &str) -> Option<String> {
    let id = percent_decode(path.strip_prefix(start)?);
    Some(id).filter(|id| !id.is_empty())
}

/// Percent-decodes a text. Invalid escapes stay unchanged.
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

/// Returns the first value of a query parameter, decoded.
pub(super) fn query(query: &str, name: &str) -> Option<String> {
    let pairs = query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut values = pairs.filter(|(key, _)| percent_decode(key) == name);
    values
        .next()
        .map(|(_, value)| percent_decode(&value.replace('+', " ")))
}
