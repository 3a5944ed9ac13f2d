//! Lists all faults, each with its name, its description and its effect.

/// The name, the description and the effect of a fault.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) effect: Effect,
}

/// The effect of a fault on an answer.
pub(crate) enum Effect {
    /// An HTTP error is sent instead of the answer.
    Refuse(Refusal),
    /// An exception frame is sent, and then the stream ends. Converse returns the exception as an
    /// HTTP error.
    Exception {
        exception_type: &'static str,
        refusal: Refusal,
    },
    /// A frame with the `:message-type` `error` is sent, and then the stream ends.
    StreamError {
        code: &'static str,
        message: &'static str,
    },
    /// The stream ends regularly on a frame boundary, before this event.
    EndBefore(&'static str),
    /// A frame with a wrong checksum is sent.
    BadCrc,
    /// The stream ends regularly in the middle of a frame.
    CutInFrame,
    /// The connection (TCP) or the stream (HTTP/2) is reset in the middle of a frame.
    Reset,
    /// Nothing more is sent until the client disconnects.
    Stall,
    /// Nothing is sent at all, not even headers.
    StallBeforeHeaders,
    /// The answer is sent at one byte per second.
    Slow,
    /// All events have additional, unknown members.
    UnknownMembers,
    /// The answer has additional events.
    Insert(Insert),
    /// The whole answer is changed.
    Rewrite(Rewrite),
}

/// A change of the whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rewrite {
    /// `metadata` is sent before `messageStop`.
    EarlyMetadata,
    /// The answer has no content block.
    NoContent,
    /// The first block is an empty text block.
    EmptyText,
}

/// An addition to an answer, which does not end it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Insert {
    /// An event of an unknown type.
    Event,
    /// A content delta of an unknown kind.
    Delta,
    /// A complete tool use block whose input is one delta of 4 MiB.
    GiantToolDelta,
    /// A content delta of a block whose index is invalid.
    InvalidIndex,
}

/// An error response that a fault requests.
pub(crate) struct Refusal {
    pub(super) status: u16,
    pub(super) code: &'static str,
    /// The message. `{model}` in it is replaced by the model ID.
    pub(super) message: &'static str,
    /// Whether the error is an error of the front end, not of Bedrock.
    pub(super) front_door: bool,
    /// `originalStatusCode`.
    pub(super) original_status: Option<u16>,
    /// An additional member of the body.
    pub(super) text_member: Option<(&'static str, &'static str)>,
    /// An additional header.
    pub(super) header: Option<(&'static str, &'static str)>,
}

const fn refusal(status: u16, code: &'static str, message: &'static str) -> Refusal {
    Refusal {
        status,
        code,
        message,
        front_door: false,
        original_status: None,
        text_member: None,
        header: None,
    }
}

const fn refuse(name: &'static str, about: &'static str, refusal: Refusal) -> Kind {
    let effect = Effect::Refuse(refusal);
    Kind {
        name,
        about,
        effect,
    }
}

const fn exception(name: &'static str, exception_type: &'static str, refusal: Refusal) -> Kind {
    let about =
        "the exception inside the stream, which then ends; Converse returns it as an HTTP error";
    let effect = Effect::Exception {
        exception_type,
        refusal,
    };
    Kind {
        name,
        about,
        effect,
    }
}

const fn other(name: &'static str, about: &'static str, effect: Effect) -> Kind {
    Kind {
        name,
        about,
        effect,
    }
}

const fn throttling() -> Refusal {
    refusal(
        429,
        "ThrottlingException",
        "Too many requests, please wait before trying again.",
    )
}

const UNEXPECTED: &str =
    "The system encountered an unexpected error during processing. Try your request again.";

/// The error that Converse returns for faults that interrupt a stream and do not exist as an HTTP
/// error.
pub(super) const INTERNAL: Refusal = refusal(500, "InternalServerException", UNEXPECTED);
const UNAVAILABLE: Refusal = refusal(
    503,
    "ServiceUnavailableException",
    "Bedrock is unable to process your request.",
);

/// All faults.
pub(super) static KINDS: &[Kind] = &[
    refuse(
        "validation",
        "HTTP 400 ValidationException",
        refusal(
            400,
            "ValidationException",
            "The model returned the following errors: the request is malformed.",
        ),
    ),
    refuse(
        "input-too-long",
        "HTTP 400 ValidationException: the context window is exceeded",
        refusal(
            400,
            "ValidationException",
            "Input is too long for requested model.",
        ),
    ),
    refuse(
        "profile-required",
        "HTTP 400 ValidationException: the model needs an inference profile",
        refusal(
            400,
            "ValidationException",
            "Invocation of model ID {model} with on-demand throughput isn\u{2019}t supported. Retry your request with the ID or ARN of an inference profile that contains this model.",
        ),
    ),
    refuse(
        "access-denied",
        "HTTP 403 AccessDeniedException",
        refusal(
            403,
            "AccessDeniedException",
            "You don't have access to the model with the specified model ID.",
        ),
    ),
    refuse(
        "expired-token",
        "HTTP 403 ExpiredTokenException",
        Refusal {
            front_door: true,
            ..refusal(
                403,
                "ExpiredTokenException",
                "The security token included in the request is expired",
            )
        },
    ),
    refuse(
        "resource-not-found",
        "HTTP 404 ResourceNotFoundException",
        refusal(
            404,
            "ResourceNotFoundException",
            "This model version has reached the end of its life. Please refer to the AWS documentation for more details.",
        ),
    ),
    refuse(
        "model-timeout",
        "HTTP 408 ModelTimeoutException",
        refusal(
            408,
            "ModelTimeoutException",
            "Model has timed out in processing the request. Try your request again.",
        ),
    ),
    refuse(
        "model-error",
        "HTTP 424 ModelErrorException with originalStatusCode 500 and resourceName",
        Refusal {
            original_status: Some(500),
            text_member: Some(("resourceName", "emulated-model")),
            ..refusal(424, "ModelErrorException", UNEXPECTED)
        },
    ),
    refuse(
        "model-error-429",
        "the same with originalStatusCode 429",
        Refusal {
            original_status: Some(429),
            text_member: Some(("resourceName", "emulated-model")),
            ..refusal(424, "ModelErrorException", "The model is busy.")
        },
    ),
    refuse("throttling", "HTTP 429 ThrottlingException", throttling()),
    refuse(
        "throttling-retry-after",
        "the same with `retry-after: 2` (seconds)",
        Refusal {
            header: Some(("retry-after", "2")),
            ..throttling()
        },
    ),
    refuse(
        "throttling-x-amz-retry-after",
        "the same with `x-amz-retry-after: 1500` (milliseconds)",
        Refusal {
            header: Some(("x-amz-retry-after", "1500")),
            ..throttling()
        },
    ),
    refuse(
        "quota",
        "HTTP 429 ThrottlingException for a daily quota",
        refusal(
            429,
            "ThrottlingException",
            "Too many tokens per day, please wait before trying again.",
        ),
    ),
    refuse(
        "model-not-ready",
        "HTTP 429 ModelNotReadyException",
        refusal(
            429,
            "ModelNotReadyException",
            "Model is not ready for inference. Wait and try your request again.",
        ),
    ),
    refuse("internal", "HTTP 500 InternalServerException", INTERNAL),
    refuse(
        "service-unavailable",
        "HTTP 503 ServiceUnavailableException",
        UNAVAILABLE,
    ),
    refuse(
        "unknown-error",
        "HTTP 400 with an exception that the API's model does not have",
        refusal(
            400,
            "FutureException",
            "A later version of the API answers this.",
        ),
    ),
    exception("stream-throttling", "throttlingException", throttling()),
    exception("stream-internal", "internalServerException", INTERNAL),
    exception(
        "stream-model-stream-error",
        "modelStreamErrorException",
        Refusal {
            original_status: Some(500),
            text_member: Some(("originalMessage", "the model stopped answering")),
            ..refusal(424, "ModelStreamErrorException", UNEXPECTED)
        },
    ),
    exception(
        "stream-validation",
        "validationException",
        refusal(
            400,
            "ValidationException",
            "The model produced an invalid answer.",
        ),
    ),
    exception(
        "stream-service-unavailable",
        "serviceUnavailableException",
        UNAVAILABLE,
    ),
    exception(
        "stream-unknown",
        "futureException",
        refusal(
            400,
            "FutureException",
            "A later version of the API sends this.",
        ),
    ),
    other(
        "stream-error",
        "a frame of `:message-type` `error` with `:error-code` and `:error-message`",
        Effect::StreamError {
            code: "InternalFailure",
            message: "The stream failed.",
        },
    ),
    other(
        "end-without-message-stop",
        "a regular end before `messageStop`",
        Effect::EndBefore("messageStop"),
    ),
    other(
        "end-without-metadata",
        "a regular end before `metadata`",
        Effect::EndBefore("metadata"),
    ),
    other(
        "bad-crc",
        "a frame with a wrong CRC, then the end",
        Effect::BadCrc,
    ),
    other(
        "cut-in-frame",
        "a regular end in the middle of a frame",
        Effect::CutInFrame,
    ),
    other(
        "reset",
        "TCP reset, or RST_STREAM with HTTP/2, in the middle of a frame",
        Effect::Reset,
    ),
    other(
        "stall",
        "silence until the client disconnects",
        Effect::Stall,
    ),
    other(
        "stall-before-headers",
        "silence from the start, without headers",
        Effect::StallBeforeHeaders,
    ),
    other("slow", "one byte per second", Effect::Slow),
    other(
        "unknown-event",
        "an event of an unknown type; the answer continues",
        Effect::Insert(Insert::Event),
    ),
    other(
        "unknown-delta",
        "a content delta of an unknown kind; the answer continues",
        Effect::Insert(Insert::Delta),
    ),
    other(
        "unknown-member",
        "an unknown member in every event",
        Effect::UnknownMembers,
    ),
    other(
        "invalid-index",
        "a content delta whose `contentBlockIndex` is 2^40; the answer continues",
        Effect::Insert(Insert::InvalidIndex),
    ),
    other(
        "early-metadata",
        "`metadata` before `messageStop`",
        Effect::Rewrite(Rewrite::EarlyMetadata),
    ),
    other(
        "no-content",
        "an answer without content blocks",
        Effect::Rewrite(Rewrite::NoContent),
    ),
    other(
        "empty-text",
        "an empty text block before all others",
        Effect::Rewrite(Rewrite::EmptyText),
    ),
    other(
        "giant-tool-delta",
        "a tool use whose input is one delta of 4 MiB; the answer continues",
        Effect::Insert(Insert::GiantToolDelta),
    ),
];
