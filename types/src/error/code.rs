//! The names of everything that can go wrong.

use super::{Row, TABLE};

/// Writes the codes once, as an enum and as the list of all.
macro_rules! codes {
    ($($(#[$about:meta])+ $name:ident,)+) => {
        /// Everything that can go wrong, as a caller may tell it apart.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[$about])+ $name,)+
        }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name,)+];
        }
    };
}

codes! {
    /// A value out of its range, or of a wrong shape.
    InvalidParameter,
    /// A value the model cannot take.
    ModelParameter,
    /// A value of an OpenAI field out of its range.
    InvalidValue,
    /// The request lacks what every request has.
    InvalidRequest,
    /// A native request without `model`.
    EmptyModel,
    /// A native request without `input`.
    EmptyInput,
    /// A native request without `parameters`, where they are needed.
    EmptyParameters,
    /// A native request whose `input` is not an object.
    IllegalInput,
    /// The model does not reason.
    NotSupportEnableThinking,
    /// The body is larger than we read.
    TooLarge,
    /// The account owes money.
    Arrearage,
    /// Moderation refused the prompt or the answer.
    DataInspectionFailed,
    /// A moderation rule of the customer refused it.
    CustomRoleBlocked,
    /// A question-and-answer rule refused it.
    FaqRuleBlocked,
    /// The prompt may infringe rights.
    IpInfringement,
    /// A file the request names cannot be fetched.
    InputDownloadFailed,
    /// A file of a kind that is not read.
    UnsupportedFileFormat,
    /// Something the request names does not exist.
    ResourceNotExist,
    /// A request that is wrong in another way.
    BadRequest,
    /// A URL of the request is none.
    InvalidUrl,
    /// The server behind a URL refuses.
    UrlRefused,
    /// The server behind a URL does not answer.
    UrlTimeout,
    /// Moderation cannot fetch a file of the request.
    MediaInspection,
    /// A message without content, or of a role the model does not know.
    EmptyContent,
    /// What is asked for cannot be done in this state.
    UnsupportedOperation,
    /// The caller hung up.
    ClientDisconnect,
    /// The application was not published.
    FlowNotPublished,
    /// The database schema of the request is wrong.
    InvalidSchema,
    /// The database schema of the request cannot be read.
    InvalidSchemaFormat,
    /// A file that does not meet the requirements; longer codes say why.
    InvalidFile,
    /// An image that does not meet the requirements; longer codes say why.
    InvalidImage,
    /// Audio that does not meet the requirements; longer codes say why.
    InvalidAudio,
    /// A signed request lacks a part of its signature.
    IncompleteSignature,
    /// A signature is not what the request and the secret come to.
    SignatureMismatch,
    /// A signed request was seen before.
    NonceUsed,
    /// A signed request is too old, or of a time to come.
    TimestampExpired,
    /// No key, a wrong one, or one that was revoked.
    InvalidApiKey,
    /// The key does not belong to the workspace of the request.
    NotAuthorized,
    /// The caller may not do this.
    AccessDenied,
    /// The account has not activated the service.
    Unpurchased,
    /// The workspace may not use the model.
    ModelAccessDenied,
    /// The caller may not use the application.
    AppAccessDenied,
    /// The caller may not use the workspace.
    WorkspaceAccessDenied,
    /// The model is not offered at this host.
    EndpointAccessDenied,
    /// The free quota is used up, and nothing else may be.
    FreeTierOnly,
    /// No model of that name.
    ModelNotFound,
    /// The model of that name does something else.
    ModelNotSupported,
    /// No workspace of that id.
    WorkspaceNotFound,
    /// Nothing at that path.
    PathNotFound,
    /// Nothing of that name or id.
    NotFound,
    /// No access key of that id.
    AccessKeyNotFound,
    /// The caller took too long to send the request.
    RequestTimeout,
    /// What is to be made is there already, or is being made otherwise.
    Conflict,
    /// What is to be changed was changed meanwhile.
    PreconditionFailed,
    /// What is to be changed may only be so by who says which version of it was seen.
    PreconditionRequired,
    /// Too many requests, for whatever reason.
    Throttled,
    /// More requests per minute than allowed.
    RateLimited,
    /// All places are taken.
    Busy,
    /// Requests grew too fast.
    BurstRate,
    /// More tokens per minute than allowed.
    AllocationQuota,
    /// The free quota is used up, and the model is not sold.
    FreeQuota,
    /// Too many requests at once.
    Concurrency,
    /// The budget of the period is spent.
    BudgetLimitExceeded,
    /// The workspace has not bought the service.
    CommodityNotPurchased,
    /// A prepaid bill is overdue.
    PrepaidBillOverdue,
    /// A postpaid bill is overdue.
    PostpaidBillOverdue,
    /// A bug or a broken model.
    Internal,
    /// The model failed.
    Algo,
    /// A task took longer than tasks may.
    TaskTimeout,
    /// A result could not be stored.
    FileUpload,
    /// A result could not be sent to its place.
    Upload,
    /// Something broke behind an upstream.
    SystemError,
    /// The model could not be asked.
    ModelServiceFailed,
    /// The answer took longer than answers may.
    ResponseTimeout,
    /// A plug-in failed.
    InvokePluginFailed,
    /// An application failed.
    AppProcessFailed,
    /// The prompt could not be rewritten.
    RewriteFailed,
    /// Nothing could be retrieved.
    RetrievalFailed,
    /// An upstream answered what is no answer.
    BadGateway,
    /// The model has no place left.
    ServingError,
    /// An upstream does not answer now.
    ServiceUnavailable,
    /// No model is ready yet.
    ModelUnavailable,
    /// We are stopping.
    Stopped,
    /// An upstream did not answer in time.
    GatewayTimeout,
}

// A code without a row, or a row that does not say what to do in both languages, is not compiled.
const _: () = {
    let mut code = 0;
    while code < Code::ALL.len() {
        let (mut row, mut rows) = (0, 0);
        while row < TABLE.len() {
            if TABLE[row].id as usize == Code::ALL[code] as usize {
                assert!(TABLE[row].is_whole(), "a row says what it means and what to do, in both languages");
                rows += 1;
            }
            row += 1;
        }
        assert!(rows == 1, "every code has one row");
        code += 1;
    }
};

impl Code {
    /// The code's row.
    pub fn row(self) -> &'static Row {
        TABLE.iter().find(|row| row.id == self).expect("every code has a row, or it were not compiled")
    }

    /// The code of this name in the native dialect. Of `InvalidFile.Format` the part before the dot
    /// is enough, since services add to these.
    pub fn from_native(name: &str) -> Option<Self> {
        let exact = |name: &str| TABLE.iter().find(|row| row.native == name).map(|row| row.id);
        let mut name = name;
        loop {
            if let Some(code) = exact(name) {
                return Some(code);
            }
            name = name.rsplit_once('.')?.0;
        }
    }

    /// The code of this name in the OpenAI-compatible dialect, or in the native one, which services
    /// mix up.
    pub fn from_compat(name: &str) -> Option<Self> {
        let exact = TABLE.iter().find(|row| row.code == name).map(|row| row.id);
        exact.or_else(|| Self::from_native(name))
    }

    /// The code that a status alone tells.
    pub fn from_status(status: u16) -> Self {
        match status {
            401 => Self::InvalidApiKey,
            402 => Self::Arrearage,
            403 => Self::AccessDenied,
            404 => Self::PathNotFound,
            408 => Self::RequestTimeout,
            409 => Self::Conflict,
            413 => Self::TooLarge,
            429 => Self::Throttled,
            400..500 => Self::InvalidParameter,
            502 => Self::BadGateway,
            503 => Self::ServiceUnavailable,
            504 => Self::GatewayTimeout,
            _ => Self::Internal,
        }
    }
}
