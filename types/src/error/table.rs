//! The one table of error codes. To add a code: a variant in `code.rs`, a row here.

use super::{
    Code,
    row::{Row, own, request, same},
};

/// All rows, in the order of their statuses. Of rows with the same name on the wire the first is the
/// one a name is read as.
pub static TABLE: &[Row] = &[
    request(Code::InvalidParameter, 400, "invalid_parameter_error", "InvalidParameter", "Required body invalid, please check the request body format.")
        .means("A field has a wrong shape or a value out of its range.", "某个字段的格式或取值不正确。")
        .advice("Change the field the message names.", "请按提示修改该字段。"),
    request(Code::ModelParameter, 400, "invalid_parameter_error", "InternalError.Algo.InvalidParameter", "The request does not fit the model.").native_status(400, "InvalidParameter").prefixed("<400> InternalError.Algo.InvalidParameter: ")
        .means("The model cannot take this value, such as a prompt longer than its context.", "模型无法接受该取值，例如输入超过上下文长度。")
        .advice("Make it smaller.", "请减小后重试。"),
    request(Code::InvalidValue, 400, "invalid_value", "InvalidParameter", "A value is out of range.")
        .means("A value is out of its range.", "取值超出范围。")
        .advice("Change the field the message names.", "请按提示修改该字段。"),
    request(Code::InvalidRequest, 400, "invalid_request_error", "InvalidParameter", "Required parameter missing or invalid, please check the request parameters.")
        .means("A required field is missing.", "缺少必填字段。")
        .advice("Add it.", "请补充后重试。"),
    request(Code::EmptyModel, 400, "invalid_parameter_error", "BadRequest.EmptyModel", "Required parameter \"model\" missing from request.")
        .means("The request names no model.", "请求缺少 `model`。")
        .advice("Add `model`.", "请补充后重试。"),
    request(Code::EmptyInput, 400, "invalid_parameter_error", "BadRequest.EmptyInput", "Required input parameter missing from request.")
        .means("The request has no `input`.", "请求缺少 `input`。")
        .advice("Put `messages` or `prompt` into `input`.", "请将 `messages` 或 `prompt` 放入 `input`。"),
    request(Code::EmptyParameters, 400, "invalid_parameter_error", "BadRequest.EmptyParameters", "Required parameter \"parameters\" missing from request.")
        .means("The request has no `parameters`.", "请求缺少 `parameters`。")
        .advice("Add them.", "请补充后重试。"),
    request(Code::IllegalInput, 400, "invalid_parameter_error", "BadRequest.IllegalInput", "The input parameter requires json format.")
        .means("`input` is not a JSON object.", "`input` 不是 JSON 对象。")
        .advice("Put `messages` or `prompt` into it.", "请将 `messages` 或 `prompt` 放入 `input` 对象。"),
    request(Code::NotSupportEnableThinking, 400, "InvalidParameter.NotSupportEnableThinking", "InvalidParameter.NotSupportEnableThinking", "The model does not support enable_thinking.")
        .means("This model has no thinking phase.", "该模型不支持思考模式。")
        .advice("Leave `enable_thinking` out or choose another model.", "请去掉 `enable_thinking` 或更换模型。"),
    request(Code::TooLarge, 400, "invalid_parameter_error", "BadRequest.TooLarge", "Payload Too Large.")
        .means("The body is larger than this server reads.", "请求体超过本服务的上限。")
        .advice("Send less.", "请减小请求内容。"),
    same(Code::Arrearage, 400, "Arrearage", "Access denied, please make sure your account is in good standing.")
        .means("The account is overdue.", "账户欠费。")
        .advice("Top it up; it works again some minutes later.", "请充值，数分钟后恢复。"),
    own(Code::DataInspectionFailed, 400, "data_inspection_failed", "DataInspectionFailed", "Input or output data may contain inappropriate content.")
        .means("Moderation refused the prompt or the answer.", "输入或输出未通过内容审核。")
        .advice("Change the prompt.", "请修改输入内容。"),
    same(Code::CustomRoleBlocked, 400, "CustomRoleBlocked", "Input or output data may contain inappropriate content with custom rule.")
        .means("A moderation rule of your own refused it.", "被自定义审核规则拦截。")
        .advice("Change the prompt or the rule.", "请修改输入内容或规则。"),
    same(Code::FaqRuleBlocked, 400, "FaqRuleBlocked", "Input or output data is blocked by faq rule.")
        .means("A question-and-answer rule refused it.", "被 FAQ 规则拦截。")
        .advice("Change the prompt or the rule.", "请修改输入内容或规则。"),
    same(Code::IpInfringement, 400, "IPInfringementSuspect", "Input data is suspected of being involved in IP infringement.")
        .means("The prompt may infringe rights of others.", "输入内容涉嫌侵犯知识产权。")
        .advice("Change it.", "请修改输入内容。"),
    same(Code::InputDownloadFailed, 400, "BadRequest.InputDownloadFailed", "Failed to download the input file.")
        .means("A file of the request could not be fetched.", "无法下载输入文件。")
        .advice("Check that its URL can be reached and try again.", "请确认 URL 可访问后重试。"),
    same(Code::UnsupportedFileFormat, 400, "BadRequest.UnsupportedFileFormat", "File format unsupported.")
        .means("Files of this kind are not read.", "不支持该文件格式。")
        .advice("Convert it.", "请转换后重试。"),
    same(Code::ResourceNotExist, 400, "BadRequest.ResourceNotExist", "The Required resource not exist.")
        .means("Something the request names does not exist.", "请求引用的资源不存在。")
        .advice("Check its id.", "请检查其 id。"),
    same(Code::BadRequest, 400, "BadRequestException", "Invalid part type.")
        .means("The request is wrong.", "请求有误。")
        .advice("Change what the message names.", "请按错误信息修改。"),
    same(Code::InvalidUrl, 400, "InvalidURL", "Required URL is missing or invalid, please check the request URL.")
        .means("A URL of the request is missing or invalid.", "请求中的 URL 缺失或无效。")
        .advice("Correct it.", "请更正。"),
    same(Code::UrlRefused, 400, "InvalidURL.ConnectionRefused", "Connection refused, please provide available URL.")
        .means("The server behind a URL of the request refuses the connection.", "请求中的 URL 拒绝连接。")
        .advice("Use another URL.", "请更换 URL。"),
    same(Code::UrlTimeout, 400, "InvalidURL.Timeout", "Download timeout, please check network connection.")
        .means("The server behind a URL of the request does not answer in time.", "下载请求中的 URL 超时。")
        .advice("Use another URL.", "请更换 URL。"),
    same(Code::MediaInspection, 400, "InvalidParameter.DataInspection", "Unable to download the media resource during the data inspection process.")
        .means("Moderation could not fetch a file of the request.", "内容审核时无法下载媒体文件。")
        .advice("Check that its URL can be reached and try again.", "请确认 URL 可访问后重试。"),
    same(Code::EmptyContent, 400, "ServiceUnavailableError", "Role must be user or assistant and Content length must be greater than 0.")
        .means("A message has no content, or a role this model does not know.", "消息内容为空或角色不受支持。")
        .advice("Change it.", "请修改消息。"),
    same(Code::UnsupportedOperation, 400, "UnsupportedOperation", "The operation is unsupported on the referee object.")
        .means("This cannot be done in the state the object is in.", "对象当前状态不支持该操作。")
        .advice("Wait until it has another state, or leave it.", "请等待其状态改变，或不执行该操作。"),
    same(Code::ClientDisconnect, 400, "ClientDisconnect", "Client disconnected before task finished!")
        .means("The connection was closed before the answer was whole.", "连接在应答完成前断开。")
        .advice("Keep it open.", "请保持连接。"),
    same(Code::FlowNotPublished, 400, "FlowNotPublished", "Flow has not published yet, please publish flow and try again.")
        .means("The application is not published.", "应用流程尚未发布。")
        .advice("Publish it and try again.", "请发布后重试。"),
    same(Code::InvalidSchema, 400, "InvalidSchema", "Database schema is invalid for text2sql.")
        .means("The schema of the request is missing or wrong.", "请求中的 schema 缺失或错误。")
        .advice("Correct it.", "请更正。"),
    same(Code::InvalidSchemaFormat, 400, "InvalidSchemaFormat", "Database schema format is invalid for text2sql.")
        .means("The schema of the request cannot be read.", "请求中的 schema 格式错误。")
        .advice("Correct its format.", "请更正。"),
    same(Code::InvalidFile, 400, "InvalidFile", "The file does not meet the requirements.")
        .means("A file of the request does not meet the requirements.", "文件不符合要求。")
        .advice("Change it as the message says.", "请按错误信息修改。"),
    same(Code::InvalidImage, 400, "InvalidImage", "The image does not meet the requirements.")
        .means("An image of the request does not meet the requirements.", "图片不符合要求。")
        .advice("Change it as the message says.", "请按错误信息修改。"),
    same(Code::InvalidAudio, 400, "Audio", "The audio does not meet the requirements.")
        .means("Audio of the request does not meet the requirements.", "音频不符合要求。")
        .advice("Change it as the message says.", "请按错误信息修改。"),
    same(Code::IncompleteSignature, 400, "IncompleteSignature", "The request is not signed whole.")
        .means("A header that a signed request needs is missing, unsigned or malformed.", "签名请求缺少必需的请求头，或该请求头未参与签名、格式有误。")
        .advice("Add or sign the header that the message names.", "请按提示补充该请求头并使其参与签名。"),
    same(Code::SignatureMismatch, 400, "SignatureDoesNotMatch", "The signature is not what the request comes to.")
        .means("The request was changed on its way, or signed with another secret.", "请求在途中被改动，或使用了其他密钥签名。")
        .advice("Check the secret, and that the request is sent as it was signed.", "请检查密钥，并确保发送内容与签名时一致。"),
    same(Code::NonceUsed, 400, "SignatureNonceUsed", "A request with this nonce was seen before.")
        .means("The same signed request came twice.", "同一签名请求重复到达。")
        .advice("Sign each request with a nonce of its own.", "请为每个请求使用新的随机数签名。"),
    same(Code::TimestampExpired, 400, "InvalidTimeStamp.Expired", "The request's time is too far from the server's.")
        .means("The header `x-acs-date` is more than 15 minutes from the server's clock.", "请求头 `x-acs-date` 与服务端时间相差超过 15 分钟。")
        .advice("Set the clock; the message says how far it is off.", "请校准时钟，错误信息会给出偏差。"),
    request(Code::InvalidApiKey, 401, "invalid_api_key", "InvalidApiKey", "Incorrect API key provided. ").native_says("Invalid API-key provided.")
        .means("The key is missing, wrong or revoked.", "API Key 缺失、错误或已被吊销。")
        .advice("Send `Authorization: Bearer sk-…` with a key of this server.", "请使用本服务的密钥发送 `Authorization: Bearer sk-…`。"),
    request(Code::NotAuthorized, 401, "not_authorized", "NOT AUTHORIZED", "Access denied: Either you are not authorized to access this workspace, or the workspace does not exist. Please:\nVerify the workspace configuration.\nCheck your API endpoint settings.")
        .means("The key does not belong to the workspace the request names.", "密钥不属于请求指定的业务空间。")
        .advice("Check the header `X-DashScope-WorkSpace`.", "请检查请求头 `X-DashScope-WorkSpace`。"),
    own(Code::AccessDenied, 403, "access_denied", "AccessDenied", "Access denied.")
        .means("This key, or this kind of call, is not allowed here.", "该密钥或该调用方式不被允许。")
        .advice("Use a key or a call that is; the message says which.", "请按错误信息更换密钥或调用方式。"),
    same(Code::Unpurchased, 403, "AccessDenied.Unpurchased", "Access to model denied. Please make sure you are eligible for using the model.")
        .means("The account has not activated the service.", "账户未开通该服务。")
        .advice("Activate it.", "请先开通。"),
    same(Code::ModelAccessDenied, 403, "Model.AccessDenied", "Model access denied.")
        .means("The workspace of this key was not granted the model.", "密钥所属业务空间未获该模型授权。")
        .advice("Have it granted, or choose another.", "请申请授权或更换模型。"),
    same(Code::AppAccessDenied, 403, "App.AccessDenied", "App access denied.")
        .means("This key may not use the application.", "该密钥无权访问此应用。")
        .advice("Use a key of its workspace.", "请使用其业务空间的密钥。"),
    same(Code::WorkspaceAccessDenied, 403, "Workspace.AccessDenied", "Workspace access denied.")
        .means("This key may not use the workspace.", "该密钥无权访问此业务空间。")
        .advice("Use a key of it.", "请使用其密钥。"),
    same(Code::EndpointAccessDenied, 403, "Endpoint.AccessDenied", "Workspace endpoint access denied.")
        .means("The model is offline or belongs to another host.", "模型已下线或不属于该域名。")
        .advice("Check the base URL.", "请检查 base URL。"),
    same(Code::FreeTierOnly, 403, "AllocationQuota.FreeTierOnly", "The free tier of the model has been exhausted. If you wish to continue access the model on a paid basis, please disable the \"use free tier only\" mode in the management console.")
        .means("The free quota is used up and the account is set to use nothing else.", "免费额度已用完且账户仅允许使用免费额度。")
        .advice("Turn that off, or wait.", "请关闭该设置。"),
    request(Code::ModelNotFound, 404, "model_not_found", "ModelNotFound", "Model can not be found.").native_status(400, "InvalidParameter").native_says("Model not exist.")
        .means("No model of that name answers here.", "本服务没有该名称的模型。")
        .advice("Choose one of those that `GET /v1/models` lists; the message names those near it.", "请从 `GET /v1/models` 列出的模型中选择；错误信息会给出相近的名称。"),
    request(Code::ModelNotSupported, 404, "model_not_supported", "ModelNotSupported", "The model does not support this call.").native_status(400, "InvalidParameter").native_says("url error, please check url！")
        .means("The model of that name does something else, such as embeddings.", "该名称的模型用于其他用途，例如向量。")
        .advice("Choose another model or endpoint.", "请更换模型或接口。"),
    same(Code::WorkspaceNotFound, 404, "WorkSpaceNotFound", "WorkSpace can not be found.")
        .means("No workspace has that id.", "业务空间不存在。")
        .advice("Check the header `X-DashScope-WorkSpace`.", "请检查请求头 `X-DashScope-WorkSpace`。"),
    request(Code::PathNotFound, 404, "not_found", "NotFound", "Request path not found.")
        .means("Nothing answers at this path.", "请求路径不存在。")
        .advice("Check the base URL; it ends in `/v1`, `/compatible-mode/v1` or `/api/v1`.", "请检查 base URL，应以 `/v1`、`/compatible-mode/v1` 或 `/api/v1` 结尾。"),
    request(Code::NotFound, 404, "resource_not_found", "ResourceNotFound", "There is nothing of this name or id.")
        .means("No account, key, request or answer has this name or id.", "没有此名称或 id 的账户、密钥、请求或应答。")
        .advice("List them and choose one of those.", "请先列出后选择。"),
    same(Code::AccessKeyNotFound, 404, "InvalidAccessKeyId.NotFound", "The access key is not known.")
        .means("No working access key has the id that signed the request.", "没有此 id 的有效 AccessKey。")
        .advice("Make one with `qwenda admin keys create --signing`.", "请用 `qwenda admin keys create --signing` 创建。"),
    request(Code::RequestTimeout, 408, "request_timeout", "RequestTimeout", "The request was not sent in time.")
        .means("The request took too long to arrive.", "请求发送超时。")
        .advice("Check the network and send it again.", "请检查网络后重新发送。"),
    request(Code::Conflict, 409, "conflict", "Conflict", "The resource already exists.")
        .means("It exists already, or the same `Idempotency-Key` was used for another request, or its answer was given up.", "资源已存在，或相同的 `Idempotency-Key` 已用于其他请求，或其应答已被放弃。")
        .advice("Choose another name or key.", "请更换名称或键。"),
    request(Code::PreconditionFailed, 412, "precondition_failed", "PreconditionFailed", "It was changed meanwhile.")
        .means("Somebody else changed it since the version that `If-Match` names.", "自 `If-Match` 所指的版本以来已被他人修改。")
        .advice("Read it again, and send the change with its new `ETag`.", "请重新读取，并以新的 `ETag` 再次提交。"),
    request(Code::PreconditionRequired, 428, "precondition_required", "PreconditionRequired", "The header If-Match is missing.")
        .means("A change must say which version it is a change of.", "修改时必须指明所依据的版本。")
        .advice("Send the `ETag` of what you read as `If-Match`.", "请将读取时得到的 `ETag` 作为 `If-Match` 发送。"),
    own(Code::RateLimited, 429, "limit_requests", "Throttling.RateQuota", "You have exceeded your current request limit.").native_says("Requests rate limit exceeded, please try again later.").again()
        .means("More requests per minute than this key may send.", "每分钟请求数超限。")
        .advice("Send fewer; it recovers within a minute.", "请降低频率，一分钟内恢复。"),
    own(Code::Throttled, 429, "limit_requests", "Throttling", "Requests throttling triggered.").again()
        .means("Too many requests.", "请求过多。")
        .advice("Wait as long as `Retry-After` says, then twice as long each time.", "请按 `Retry-After` 等待，并逐次加倍等待时间。"),
    own(Code::Busy, 429, "limit_requests", "Throttling.RateQuota", "Too many requests. Your requests are being throttled due to system capacity limits. Please try again later.").again()
        .means("All places are taken.", "当前请求过多。")
        .advice("Wait as long as `Retry-After` says and try again.", "请按 `Retry-After` 等待后重试。"),
    own(Code::BurstRate, 429, "limit_burst_rate", "Throttling.BurstRate", "Request rate increased too quickly. To ensure system stability, please adjust your client logic to scale requests more smoothly over time.").again()
        .means("Requests grew too fast.", "请求增长过快。")
        .advice("Raise their rate slowly.", "请平滑提升请求速率。"),
    own(Code::AllocationQuota, 429, "insufficient_quota", "Throttling.AllocationQuota", "You exceeded your current quota, please check your plan and billing details.").native_says("Allocated quota exceeded, please increase your quota limit.").again()
        .means("More tokens per minute than this key may use.", "每分钟 Token 数超限。")
        .advice("Send less; it recovers within a minute.", "请减少用量，一分钟内恢复。"),
    own(Code::FreeQuota, 429, "insufficient_quota", "Throttling.AllocationQuota", "Free allocated quota exceeded.")
        .means("The free quota is used up and this model is not sold.", "免费额度已用完且该模型不提供付费使用。")
        .advice("Choose another model.", "请更换模型。"),
    own(Code::Concurrency, 429, "limit_concurrency", "Throttling.Concurrency", "Too many concurrent requests.").again()
        .means("Too many requests of this key run at once.", "并发请求过多。")
        .advice("Wait for some to end.", "请等待部分请求结束。"),
    same(Code::BudgetLimitExceeded, 429, "BudgetLimitExceeded", "The budget of this period is spent.")
        .means("The budget set for this period is spent.", "本期预算已用完。")
        .advice("Raise it, or wait for the next period.", "请提高预算或等待下一周期。"),
    same(Code::CommodityNotPurchased, 429, "CommodityNotPurchased", "Commodity has not purchased yet.")
        .means("The workspace has not bought this service.", "业务空间未订购该服务。")
        .advice("Buy it; waiting does not help.", "请先订购，等待无效。"),
    same(Code::PrepaidBillOverdue, 429, "PrepaidBillOverdue", "The prepaid bill is overdue.")
        .means("A prepaid bill is overdue.", "预付费账单已到期。")
        .advice("Pay it; waiting does not help.", "请续费，等待无效。"),
    same(Code::PostpaidBillOverdue, 429, "PostpaidBillOverdue", "The postpaid bill is overdue.")
        .means("A postpaid bill is overdue.", "后付费账单已逾期。")
        .advice("Pay it; waiting does not help.", "请缴费，等待无效。"),
    own(Code::Internal, 500, "internal_error", "InternalError", "An internal error has occured, please try again later or contact service support.").again()
        .means("Something broke here.", "服务内部错误。")
        .advice("Try again; if it stays, give the operator the request id.", "请稍后重试；若持续出现，请将 request id 提供给管理员。"),
    same(Code::Algo, 500, "InternalError.Algo", "inference internal error.").again()
        .means("The model failed.", "模型推理失败。")
        .advice("Try again; if it stays, change the prompt or the model.", "请重试；若持续出现，请调整输入或更换模型。"),
    same(Code::TaskTimeout, 500, "InternalError.Timeout", "An internal timeout error has occured during execution, please try again later or contact service support.").again()
        .means("The task took longer than tasks may.", "任务执行超时。")
        .advice("Try again with less to do.", "请减小任务后重试。"),
    same(Code::FileUpload, 500, "InternalError.FileUpload", "oss upload error.").again()
        .means("The result could not be stored.", "结果文件上传失败。")
        .advice("Try again.", "请重试。"),
    same(Code::Upload, 500, "InternalError.Upload", "Failed to upload result.").again()
        .means("The result could not be sent to its place.", "结果上传失败。")
        .advice("Try again.", "请重试。"),
    same(Code::SystemError, 500, "SystemError", "An system error has occured, please try again later.").again()
        .means("Something broke behind the service.", "系统错误。")
        .advice("Try again.", "请稍后重试。"),
    same(Code::ModelServiceFailed, 500, "ModelServiceFailed", "Failed to request model service.").again()
        .means("The model could not be asked.", "请求模型服务失败。")
        .advice("Try again.", "请重试。"),
    same(Code::ResponseTimeout, 500, "RequestTimeOut", "Request timed out, please try again later.").again()
        .means("The answer took longer than answers may.", "应答超时。")
        .advice("Ask for it as a stream, or for less.", "请使用流式输出或减少输出长度。"),
    same(Code::InvokePluginFailed, 500, "InvokePluginFailed", "Failed to invoke plugin.").again()
        .means("A plug-in failed.", "插件调用失败。")
        .advice("Try again, or call without it.", "请重试或不使用插件。"),
    same(Code::AppProcessFailed, 500, "AppProcessFailed", "Failed to proceed application request.").again()
        .means("The application failed.", "应用处理失败。")
        .advice("Try again.", "请重试。"),
    same(Code::RewriteFailed, 500, "RewriteFailed", "Failed to rewrite content for prompt.").again()
        .means("The prompt could not be rewritten.", "改写输入失败。")
        .advice("Try again.", "请重试。"),
    same(Code::RetrievalFailed, 500, "RetrivalFailed", "Failed to retrieve data from documents.").again()
        .means("Documents could not be searched.", "文档检索失败。")
        .advice("Try again.", "请重试。"),
    own(Code::BadGateway, 502, "bad_gateway", "BadGateway", "The service behind this one gave no valid answer, please try again later.").again()
        .means("The service behind this one could not be reached, or its answer could not be read.", "上游服务无法访问或应答无效。")
        .advice("Try again.", "请稍后重试。"),
    same(Code::ServingError, 503, "ModelServingError", "Too many requests. Your requests are being throttled due to system capacity limits. Please try again later.").again()
        .means("The model has no place left.", "模型服务容量已满。")
        .advice("Wait and try again.", "请等待后重试。"),
    same(Code::ServiceUnavailable, 503, "ServiceUnavailable", "The engine is currently overloaded, please try again later.").again()
        .means("The service is overloaded or being maintained.", "服务过载或维护中。")
        .advice("Try again later.", "请稍后重试。"),
    same(Code::ModelUnavailable, 503, "ModelUnavailable", "Model is unavailable, please try again later.").again()
        .means("The model is not ready.", "模型暂不可用。")
        .advice("Try again in a moment.", "请稍后重试。"),
    same(Code::Stopped, 503, "ModelUnavailable", "The service is stopping, please try again later.").again()
        .means("The server is being stopped or restarted.", "服务正在停止或重启。")
        .advice("Try again in a moment.", "请稍后重试。"),
    same(Code::GatewayTimeout, 504, "GatewayTimeout", "The service behind this one did not answer in time, please try again later.").again()
        .means("The service behind this one did not answer in time.", "上游服务应答超时。")
        .advice("Try again.", "请稍后重试。"),
];
