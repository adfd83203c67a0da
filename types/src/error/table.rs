//! The one table of error codes. To add a code: a variant, a row.

/// Everything that can go wrong, as a caller may tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// A value out of its range, or of a wrong shape.
    InvalidParameter,
    /// A value the model cannot take.
    ModelParameter,
    /// A value of an OpenAI field out of its range.
    InvalidValue,
    /// The request lacks what every request has.
    InvalidRequest,
    /// The model does not reason.
    NotSupportEnableThinking,
    /// The body is larger than we read.
    TooLarge,
    /// No key, a wrong one, or one that was revoked.
    InvalidApiKey,
    /// No model of that name.
    ModelNotFound,
    /// Nothing at that path.
    PathNotFound,
    /// The caller took too long to send the request.
    RequestTimeout,
    /// All places are taken.
    Busy,
    /// A bug or a broken model.
    Internal,
    /// We are stopping.
    Stopped,
    /// No model is ready yet.
    ModelUnavailable,
}

/// One row of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// Which code.
    pub id: Code,
    /// The HTTP status.
    pub status: u16,
    /// `error.code` of the OpenAI-compatible dialect.
    pub code: &'static str,
    /// `error.type` of the OpenAI-compatible dialect.
    pub kind: &'static str,
    /// `code` of the native dialect.
    pub native: &'static str,
    /// What stands before every message of this code.
    pub prefix: &'static str,
    /// The sentence when nothing more exact is known.
    pub message: &'static str,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// What it means and what to do, in English.
    pub en: &'static str,
    /// What it means and what to do, in Chinese.
    pub zh: &'static str,
}

impl Code {
    /// The code's row.
    pub fn row(self) -> &'static Row {
        TABLE.iter().find(|row| row.id == self).expect("every code has a row; a test holds this")
    }
}

const REQUEST: &str = "invalid_request_error";

/// All rows, in the order of their statuses.
pub static TABLE: &[Row] = &[
    Row {
        id: Code::InvalidParameter,
        status: 400,
        code: "invalid_parameter_error",
        kind: REQUEST,
        native: "InvalidParameter",
        prefix: "",
        message: "Required body invalid, please check the request body format.",
        retryable: false,
        en: "A field has a wrong shape or a value out of its range. Change the field the message names.",
        zh: "某个字段的格式或取值不正确。请按提示修改该字段。",
    },
    Row {
        id: Code::ModelParameter,
        status: 400,
        code: "invalid_parameter_error",
        kind: REQUEST,
        native: "InternalError.Algo.InvalidParameter",
        prefix: "<400> InternalError.Algo.InvalidParameter: ",
        message: "The request does not fit the model.",
        retryable: false,
        en: "The model cannot take this value, such as a prompt longer than its context. Make it smaller.",
        zh: "模型无法接受该取值，例如输入超过上下文长度。请减小后重试。",
    },
    Row {
        id: Code::InvalidValue,
        status: 400,
        code: "invalid_value",
        kind: REQUEST,
        native: "InvalidParameter",
        prefix: "",
        message: "A value is out of range.",
        retryable: false,
        en: "A value is out of its range. Change the field the message names.",
        zh: "取值超出范围。请按提示修改该字段。",
    },
    Row {
        id: Code::InvalidRequest,
        status: 400,
        code: "invalid_request_error",
        kind: REQUEST,
        native: "InvalidParameter",
        prefix: "",
        message: "Required parameter missing or invalid, please check the request parameters.",
        retryable: false,
        en: "A required field is missing. Add it.",
        zh: "缺少必填字段。请补充后重试。",
    },
    Row {
        id: Code::NotSupportEnableThinking,
        status: 400,
        code: "InvalidParameter.NotSupportEnableThinking",
        kind: REQUEST,
        native: "InvalidParameter.NotSupportEnableThinking",
        prefix: "",
        message: "The model does not support enable_thinking.",
        retryable: false,
        en: "This model has no thinking phase. Leave `enable_thinking` out or choose another model.",
        zh: "该模型不支持思考模式。请去掉 `enable_thinking` 或更换模型。",
    },
    Row {
        id: Code::TooLarge,
        status: 400,
        code: "invalid_parameter_error",
        kind: REQUEST,
        native: "BadRequest.TooLarge",
        prefix: "",
        message: "Payload Too Large.",
        retryable: false,
        en: "The body is larger than this server reads. Send less.",
        zh: "请求体超过本服务的上限。请减小请求内容。",
    },
    Row {
        id: Code::InvalidApiKey,
        status: 401,
        code: "invalid_api_key",
        kind: REQUEST,
        native: "InvalidApiKey",
        prefix: "",
        message: "Incorrect API key provided. ",
        retryable: false,
        en: "The key is missing, wrong or revoked. Send `Authorization: Bearer sk-…` with a key of this server.",
        zh: "API Key 缺失、错误或已被吊销。请使用本服务的密钥发送 `Authorization: Bearer sk-…`。",
    },
    Row {
        id: Code::ModelNotFound,
        status: 404,
        code: "model_not_found",
        kind: REQUEST,
        native: "ModelNotFound",
        prefix: "",
        message: "Model can not be found.",
        retryable: false,
        en: "No model of that name answers here. `GET /v1/models` lists those that do.",
        zh: "本服务没有该名称的模型。可用 `GET /v1/models` 查看可用模型。",
    },
    Row {
        id: Code::PathNotFound,
        status: 404,
        code: "not_found",
        kind: REQUEST,
        native: "NotFound",
        prefix: "",
        message: "Request path not found.",
        retryable: false,
        en: "Nothing answers at this path. Check the base URL; it ends in `/v1` or `/compatible-mode/v1`.",
        zh: "请求路径不存在。请检查 base URL，应以 `/v1` 或 `/compatible-mode/v1` 结尾。",
    },
    Row {
        id: Code::RequestTimeout,
        status: 408,
        code: "request_timeout",
        kind: REQUEST,
        native: "RequestTimeOut",
        prefix: "",
        message: "The request was not sent in time.",
        retryable: false,
        en: "The request took too long to arrive. Check the network and send it again.",
        zh: "请求发送超时。请检查网络后重新发送。",
    },
    Row {
        id: Code::Busy,
        status: 429,
        code: "limit_requests",
        kind: "limit_requests",
        native: "Throttling.RateQuota",
        prefix: "",
        message: "Too many requests. Your requests are being throttled due to system capacity limits. \
                  Please try again later.",
        retryable: true,
        en: "All places are taken. Wait as long as `Retry-After` says and try again.",
        zh: "当前请求过多。请按 `Retry-After` 等待后重试。",
    },
    Row {
        id: Code::Internal,
        status: 500,
        code: "internal_error",
        kind: "internal_error",
        native: "InternalError",
        prefix: "",
        message: "An internal error has occured, please try again later or contact service support.",
        retryable: true,
        en: "Something broke here. Try again; if it stays, give the operator the request id.",
        zh: "服务内部错误。请稍后重试；若持续出现，请将 request id 提供给管理员。",
    },
    Row {
        id: Code::Stopped,
        status: 503,
        code: "ModelUnavailable",
        kind: "ModelUnavailable",
        native: "ModelUnavailable",
        prefix: "",
        message: "The service is stopping, please try again later.",
        retryable: true,
        en: "The server is being stopped or restarted. Try again in a moment.",
        zh: "服务正在停止或重启。请稍后重试。",
    },
    Row {
        id: Code::ModelUnavailable,
        status: 503,
        code: "ModelUnavailable",
        kind: "ModelUnavailable",
        native: "ModelUnavailable",
        prefix: "",
        message: "Model is unavailable, please try again later.",
        retryable: true,
        en: "The model is not ready. Try again in a moment.",
        zh: "模型暂不可用。请稍后重试。",
    },
];
