//! The one table of error codes. To add a code: a variant in `code.rs`, a row here.

use super::{
    Code,
    row::{Row, own, request, same},
};

/// All rows, in the order of their statuses. Of rows with the same name on the wire the first is the
/// one a name is read as.
pub static TABLE: &[Row] = &[
    request(Code::InvalidParameter, 400, "invalid_parameter_error", "InvalidParameter", "Required body invalid, please check the request body format.").means(
        "A field has a wrong shape or a value out of its range. Change the field the message names.",
        "某个字段的格式或取值不正确。请按提示修改该字段。",
    ),
    request(Code::ModelParameter, 400, "invalid_parameter_error", "InternalError.Algo.InvalidParameter", "The request does not fit the model.").native_status(400, "InvalidParameter").prefixed("<400> InternalError.Algo.InvalidParameter: ").means(
        "The model cannot take this value, such as a prompt longer than its context. Make it smaller.",
        "模型无法接受该取值，例如输入超过上下文长度。请减小后重试。",
    ),
    request(Code::InvalidValue, 400, "invalid_value", "InvalidParameter", "A value is out of range.").means(
        "A value is out of its range. Change the field the message names.",
        "取值超出范围。请按提示修改该字段。",
    ),
    request(Code::InvalidRequest, 400, "invalid_request_error", "InvalidParameter", "Required parameter missing or invalid, please check the request parameters.").means(
        "A required field is missing. Add it.",
        "缺少必填字段。请补充后重试。",
    ),
    request(Code::EmptyModel, 400, "invalid_parameter_error", "BadRequest.EmptyModel", "Required parameter \"model\" missing from request.").means(
        "The request names no model. Add `model`.",
        "请求缺少 `model`。请补充后重试。",
    ),
    request(Code::EmptyInput, 400, "invalid_parameter_error", "BadRequest.EmptyInput", "Required input parameter missing from request.").means(
        "The request has no `input`. Put `messages` or `prompt` into `input`.",
        "请求缺少 `input`。请将 `messages` 或 `prompt` 放入 `input`。",
    ),
    request(Code::EmptyParameters, 400, "invalid_parameter_error", "BadRequest.EmptyParameters", "Required parameter \"parameters\" missing from request.").means(
        "The request has no `parameters`. Add them.",
        "请求缺少 `parameters`。请补充后重试。",
    ),
    request(Code::IllegalInput, 400, "invalid_parameter_error", "BadRequest.IllegalInput", "The input parameter requires json format.").means(
        "`input` is not a JSON object. Put `messages` or `prompt` into it.",
        "`input` 不是 JSON 对象。请将 `messages` 或 `prompt` 放入 `input` 对象。",
    ),
    request(Code::NotSupportEnableThinking, 400, "InvalidParameter.NotSupportEnableThinking", "InvalidParameter.NotSupportEnableThinking", "The model does not support enable_thinking.").means(
        "This model has no thinking phase. Leave `enable_thinking` out or choose another model.",
        "该模型不支持思考模式。请去掉 `enable_thinking` 或更换模型。",
    ),
    request(Code::TooLarge, 400, "invalid_parameter_error", "BadRequest.TooLarge", "Payload Too Large.").means(
        "The body is larger than this server reads. Send less.",
        "请求体超过本服务的上限。请减小请求内容。",
    ),
    same(Code::Arrearage, 400, "Arrearage", "Access denied, please make sure your account is in good standing.").means(
        "The account is overdue. Top it up; it works again some minutes later.",
        "账户欠费。请充值，数分钟后恢复。",
    ),
    own(Code::DataInspectionFailed, 400, "data_inspection_failed", "DataInspectionFailed", "Input or output data may contain inappropriate content.").means(
        "Moderation refused the prompt or the answer. Change the prompt.",
        "输入或输出未通过内容审核。请修改输入内容。",
    ),
    same(Code::CustomRoleBlocked, 400, "CustomRoleBlocked", "Input or output data may contain inappropriate content with custom rule.").means(
        "A moderation rule of your own refused it. Change the prompt or the rule.",
        "被自定义审核规则拦截。请修改输入内容或规则。",
    ),
    same(Code::FaqRuleBlocked, 400, "FaqRuleBlocked", "Input or output data is blocked by faq rule.").means(
        "A question-and-answer rule refused it. Change the prompt or the rule.",
        "被 FAQ 规则拦截。请修改输入内容或规则。",
    ),
    same(Code::IpInfringement, 400, "IPInfringementSuspect", "Input data is suspected of being involved in IP infringement.").means(
        "The prompt may infringe rights of others. Change it.",
        "输入内容涉嫌侵犯知识产权。请修改输入内容。",
    ),
    same(Code::InputDownloadFailed, 400, "BadRequest.InputDownloadFailed", "Failed to download the input file.").means(
        "A file of the request could not be fetched. Check that its URL can be reached and try again.",
        "无法下载输入文件。请确认 URL 可访问后重试。",
    ),
    same(Code::UnsupportedFileFormat, 400, "BadRequest.UnsupportedFileFormat", "File format unsupported.").means(
        "Files of this kind are not read. Convert it.",
        "不支持该文件格式。请转换后重试。",
    ),
    same(Code::ResourceNotExist, 400, "BadRequest.ResourceNotExist", "The Required resource not exist.").means(
        "Something the request names does not exist. Check its id.",
        "请求引用的资源不存在。请检查其 id。",
    ),
    same(Code::BadRequest, 400, "BadRequestException", "Invalid part type.").means(
        "The request is wrong in the way the message says.",
        "请求有误，详见错误信息。",
    ),
    same(Code::InvalidUrl, 400, "InvalidURL", "Required URL is missing or invalid, please check the request URL.").means(
        "A URL of the request is missing or invalid. Correct it.",
        "请求中的 URL 缺失或无效。请更正。",
    ),
    same(Code::UrlRefused, 400, "InvalidURL.ConnectionRefused", "Connection refused, please provide available URL.").means(
        "The server behind a URL of the request refuses the connection. Use another URL.",
        "请求中的 URL 拒绝连接。请更换 URL。",
    ),
    same(Code::UrlTimeout, 400, "InvalidURL.Timeout", "Download timeout, please check network connection.").means(
        "The server behind a URL of the request does not answer in time. Use another URL.",
        "下载请求中的 URL 超时。请更换 URL。",
    ),
    same(Code::MediaInspection, 400, "InvalidParameter.DataInspection", "Unable to download the media resource during the data inspection process.").means(
        "Moderation could not fetch a file of the request. Check that its URL can be reached and try again.",
        "内容审核时无法下载媒体文件。请确认 URL 可访问后重试。",
    ),
    same(Code::EmptyContent, 400, "ServiceUnavailableError", "Role must be user or assistant and Content length must be greater than 0.").means(
        "A message has no content, or a role this model does not know. Change it.",
        "消息内容为空或角色不受支持。请修改消息。",
    ),
    same(Code::UnsupportedOperation, 400, "UnsupportedOperation", "The operation is unsupported on the referee object.").means(
        "This cannot be done in the state the object is in.",
        "对象当前状态不支持该操作。",
    ),
    same(Code::ClientDisconnect, 400, "ClientDisconnect", "Client disconnected before task finished!").means(
        "The connection was closed before the answer was whole. Keep it open.",
        "连接在应答完成前断开。请保持连接。",
    ),
    same(Code::FlowNotPublished, 400, "FlowNotPublished", "Flow has not published yet, please publish flow and try again.").means(
        "The application is not published. Publish it and try again.",
        "应用流程尚未发布。请发布后重试。",
    ),
    same(Code::InvalidSchema, 400, "InvalidSchema", "Database schema is invalid for text2sql.").means(
        "The schema of the request is missing or wrong. Correct it.",
        "请求中的 schema 缺失或错误。请更正。",
    ),
    same(Code::InvalidSchemaFormat, 400, "InvalidSchemaFormat", "Database schema format is invalid for text2sql.").means(
        "The schema of the request cannot be read. Correct its format.",
        "请求中的 schema 格式错误。请更正。",
    ),
    same(Code::InvalidFile, 400, "InvalidFile", "The file does not meet the requirements.").means(
        "A file of the request does not meet the requirements the message names.",
        "文件不符合要求，详见错误信息。",
    ),
    same(Code::InvalidImage, 400, "InvalidImage", "The image does not meet the requirements.").means(
        "An image of the request does not meet the requirements the message names.",
        "图片不符合要求，详见错误信息。",
    ),
    same(Code::InvalidAudio, 400, "Audio", "The audio does not meet the requirements.").means(
        "Audio of the request does not meet the requirements the message names.",
        "音频不符合要求，详见错误信息。",
    ),
    request(Code::InvalidApiKey, 401, "invalid_api_key", "InvalidApiKey", "Incorrect API key provided. ").native_says("Invalid API-key provided.").means(
        "The key is missing, wrong or revoked. Send `Authorization: Bearer sk-…` with a key of this server.",
        "API Key 缺失、错误或已被吊销。请使用本服务的密钥发送 `Authorization: Bearer sk-…`。",
    ),
    request(Code::NotAuthorized, 401, "not_authorized", "NOT AUTHORIZED", "Access denied: Either you are not authorized to access this workspace, or the workspace does not exist. Please:\nVerify the workspace configuration.\nCheck your API endpoint settings.").means(
        "The key does not belong to the workspace the request names. Check the header `X-DashScope-WorkSpace`.",
        "密钥不属于请求指定的业务空间。请检查请求头 `X-DashScope-WorkSpace`。",
    ),
    own(Code::AccessDenied, 403, "access_denied", "AccessDenied", "Access denied.").means(
        "This key, or this kind of call, is not allowed here. The message says what is.",
        "该密钥或该调用方式不被允许，详见错误信息。",
    ),
    same(Code::Unpurchased, 403, "AccessDenied.Unpurchased", "Access to model denied. Please make sure you are eligible for using the model.").means(
        "The account has not activated the service. Activate it.",
        "账户未开通该服务。请先开通。",
    ),
    same(Code::ModelAccessDenied, 403, "Model.AccessDenied", "Model access denied.").means(
        "The workspace of this key was not granted the model. Have it granted, or choose another.",
        "密钥所属业务空间未获该模型授权。请申请授权或更换模型。",
    ),
    same(Code::AppAccessDenied, 403, "App.AccessDenied", "App access denied.").means(
        "This key may not use the application. Use a key of its workspace.",
        "该密钥无权访问此应用。请使用其业务空间的密钥。",
    ),
    same(Code::WorkspaceAccessDenied, 403, "Workspace.AccessDenied", "Workspace access denied.").means(
        "This key may not use the workspace. Use a key of it.",
        "该密钥无权访问此业务空间。请使用其密钥。",
    ),
    same(Code::EndpointAccessDenied, 403, "Endpoint.AccessDenied", "Workspace endpoint access denied.").means(
        "The model is offline or belongs to another host. Check the base URL.",
        "模型已下线或不属于该域名。请检查 base URL。",
    ),
    same(Code::FreeTierOnly, 403, "AllocationQuota.FreeTierOnly", "The free tier of the model has been exhausted. If you wish to continue access the model on a paid basis, please disable the \"use free tier only\" mode in the management console.").means(
        "The free quota is used up and the account is set to use nothing else. Turn that off, or wait.",
        "免费额度已用完且账户仅允许使用免费额度。请关闭该设置。",
    ),
    request(Code::ModelNotFound, 404, "model_not_found", "ModelNotFound", "Model can not be found.").native_status(400, "InvalidParameter").native_says("Model not exist.").means(
        "No model of that name answers here. `GET /v1/models` lists those that do.",
        "本服务没有该名称的模型。可用 `GET /v1/models` 查看可用模型。",
    ),
    request(Code::ModelNotSupported, 404, "model_not_supported", "ModelNotSupported", "The model does not support this call.").native_status(400, "InvalidParameter").native_says("url error, please check url！").means(
        "The model of that name does something else, such as embeddings. Choose another model or endpoint.",
        "该名称的模型用于其他用途，例如向量。请更换模型或接口。",
    ),
    same(Code::WorkspaceNotFound, 404, "WorkSpaceNotFound", "WorkSpace can not be found.").means(
        "No workspace has that id. Check the header `X-DashScope-WorkSpace`.",
        "业务空间不存在。请检查请求头 `X-DashScope-WorkSpace`。",
    ),
    request(Code::PathNotFound, 404, "not_found", "NotFound", "Request path not found.").means(
        "Nothing answers at this path. Check the base URL; it ends in `/v1`, `/compatible-mode/v1` or `/api/v1`.",
        "请求路径不存在。请检查 base URL，应以 `/v1`、`/compatible-mode/v1` 或 `/api/v1` 结尾。",
    ),
    request(Code::RequestTimeout, 408, "request_timeout", "RequestTimeout", "The request was not sent in time.").means(
        "The request took too long to arrive. Check the network and send it again.",
        "请求发送超时。请检查网络后重新发送。",
    ),
    request(Code::Conflict, 409, "conflict", "Conflict", "The resource already exists.").means(
        "It exists already, or the same `Idempotency-Key` was used for another request. Choose another name or key.",
        "资源已存在，或相同的 `Idempotency-Key` 已用于其他请求。请更换名称或键。",
    ),
    own(Code::RateLimited, 429, "limit_requests", "Throttling.RateQuota", "You have exceeded your current request limit.").native_says("Requests rate limit exceeded, please try again later.").again().means(
        "More requests per minute than this key may send. Send fewer; it recovers within a minute.",
        "每分钟请求数超限。请降低频率，一分钟内恢复。",
    ),
    own(Code::Throttled, 429, "limit_requests", "Throttling", "Requests throttling triggered.").again().means(
        "Too many requests. Wait as long as `Retry-After` says, then twice as long each time.",
        "请求过多。请按 `Retry-After` 等待，并逐次加倍等待时间。",
    ),
    own(Code::Busy, 429, "limit_requests", "Throttling.RateQuota", "Too many requests. Your requests are being throttled due to system capacity limits. Please try again later.").again().means(
        "All places are taken. Wait as long as `Retry-After` says and try again.",
        "当前请求过多。请按 `Retry-After` 等待后重试。",
    ),
    own(Code::BurstRate, 429, "limit_burst_rate", "Throttling.BurstRate", "Request rate increased too quickly. To ensure system stability, please adjust your client logic to scale requests more smoothly over time.").again().means(
        "Requests grew too fast. Raise their rate slowly.",
        "请求增长过快。请平滑提升请求速率。",
    ),
    own(Code::AllocationQuota, 429, "insufficient_quota", "Throttling.AllocationQuota", "You exceeded your current quota, please check your plan and billing details.").native_says("Allocated quota exceeded, please increase your quota limit.").again().means(
        "More tokens per minute than this key may use. Send less; it recovers within a minute.",
        "每分钟 Token 数超限。请减少用量，一分钟内恢复。",
    ),
    own(Code::FreeQuota, 429, "insufficient_quota", "Throttling.AllocationQuota", "Free allocated quota exceeded.").means(
        "The free quota is used up and this model is not sold. Choose another model.",
        "免费额度已用完且该模型不提供付费使用。请更换模型。",
    ),
    own(Code::Concurrency, 429, "limit_concurrency", "Throttling.Concurrency", "Too many concurrent requests.").again().means(
        "Too many requests of this key run at once. Wait for some to end.",
        "并发请求过多。请等待部分请求结束。",
    ),
    same(Code::BudgetLimitExceeded, 429, "BudgetLimitExceeded", "The budget of this period is spent.").means(
        "The budget set for this period is spent. Raise it, or wait for the next period.",
        "本期预算已用完。请提高预算或等待下一周期。",
    ),
    same(Code::CommodityNotPurchased, 429, "CommodityNotPurchased", "Commodity has not purchased yet.").means(
        "The workspace has not bought this service. Buy it; waiting does not help.",
        "业务空间未订购该服务。请先订购，等待无效。",
    ),
    same(Code::PrepaidBillOverdue, 429, "PrepaidBillOverdue", "The prepaid bill is overdue.").means(
        "A prepaid bill is overdue. Pay it; waiting does not help.",
        "预付费账单已到期。请续费，等待无效。",
    ),
    same(Code::PostpaidBillOverdue, 429, "PostpaidBillOverdue", "The postpaid bill is overdue.").means(
        "A postpaid bill is overdue. Pay it; waiting does not help.",
        "后付费账单已逾期。请缴费，等待无效。",
    ),
    own(Code::Internal, 500, "internal_error", "InternalError", "An internal error has occured, please try again later or contact service support.").again().means(
        "Something broke here. Try again; if it stays, give the operator the request id.",
        "服务内部错误。请稍后重试；若持续出现，请将 request id 提供给管理员。",
    ),
    same(Code::Algo, 500, "InternalError.Algo", "inference internal error.").again().means(
        "The model failed. Try again; if it stays, change the prompt or the model.",
        "模型推理失败。请重试；若持续出现，请调整输入或更换模型。",
    ),
    same(Code::TaskTimeout, 500, "InternalError.Timeout", "An internal timeout error has occured during execution, please try again later or contact service support.").again().means(
        "The task took longer than tasks may. Try again with less to do.",
        "任务执行超时。请减小任务后重试。",
    ),
    same(Code::FileUpload, 500, "InternalError.FileUpload", "oss upload error.").again().means(
        "The result could not be stored. Try again.",
        "结果文件上传失败。请重试。",
    ),
    same(Code::Upload, 500, "InternalError.Upload", "Failed to upload result.").again().means(
        "The result could not be sent to its place. Try again.",
        "结果上传失败。请重试。",
    ),
    same(Code::SystemError, 500, "SystemError", "An system error has occured, please try again later.").again().means(
        "Something broke behind the service. Try again.",
        "系统错误。请稍后重试。",
    ),
    same(Code::ModelServiceFailed, 500, "ModelServiceFailed", "Failed to request model service.").again().means(
        "The model could not be asked. Try again.",
        "请求模型服务失败。请重试。",
    ),
    same(Code::ResponseTimeout, 500, "RequestTimeOut", "Request timed out, please try again later.").again().means(
        "The answer took longer than answers may. Ask for it as a stream, or for less.",
        "应答超时。请使用流式输出或减少输出长度。",
    ),
    same(Code::InvokePluginFailed, 500, "InvokePluginFailed", "Failed to invoke plugin.").again().means(
        "A plug-in failed. Try again, or call without it.",
        "插件调用失败。请重试或不使用插件。",
    ),
    same(Code::AppProcessFailed, 500, "AppProcessFailed", "Failed to proceed application request.").again().means(
        "The application failed. Try again.",
        "应用处理失败。请重试。",
    ),
    same(Code::RewriteFailed, 500, "RewriteFailed", "Failed to rewrite content for prompt.").again().means(
        "The prompt could not be rewritten. Try again.",
        "改写输入失败。请重试。",
    ),
    same(Code::RetrievalFailed, 500, "RetrivalFailed", "Failed to retrieve data from documents.").again().means(
        "Documents could not be searched. Try again.",
        "文档检索失败。请重试。",
    ),
    own(Code::BadGateway, 502, "bad_gateway", "BadGateway", "The service behind this one gave no valid answer, please try again later.").again().means(
        "The service behind this one could not be reached, or its answer could not be read. Try again.",
        "上游服务无法访问或应答无效。请稍后重试。",
    ),
    same(Code::ServingError, 503, "ModelServingError", "Too many requests. Your requests are being throttled due to system capacity limits. Please try again later.").again().means(
        "The model has no place left. Wait and try again.",
        "模型服务容量已满。请等待后重试。",
    ),
    same(Code::ServiceUnavailable, 503, "ServiceUnavailable", "The engine is currently overloaded, please try again later.").again().means(
        "The service is overloaded or being maintained. Try again later.",
        "服务过载或维护中。请稍后重试。",
    ),
    same(Code::ModelUnavailable, 503, "ModelUnavailable", "Model is unavailable, please try again later.").again().means(
        "The model is not ready. Try again in a moment.",
        "模型暂不可用。请稍后重试。",
    ),
    same(Code::Stopped, 503, "ModelUnavailable", "The service is stopping, please try again later.").again().means(
        "The server is being stopped or restarted. Try again in a moment.",
        "服务正在停止或重启。请稍后重试。",
    ),
    same(Code::GatewayTimeout, 504, "GatewayTimeout", "The service behind this one did not answer in time, please try again later.").again().means(
        "The service behind this one did not answer in time. Try again.",
        "上游服务应答超时。请稍后重试。",
    ),
];
