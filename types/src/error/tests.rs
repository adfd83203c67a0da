use super::*;

#[test]
fn every_code_has_exactly_one_row_and_the_row_is_its_own() {
    for row in TABLE {
        assert_eq!(row.id.row(), row);
        assert_eq!(TABLE.iter().filter(|other| other.id == row.id).count(), 1, "{:?}", row.id);
    }
}

#[test]
fn the_rows_are_in_the_order_of_their_statuses() {
    assert!(TABLE.is_sorted_by_key(|row| row.status));
}

#[test]
fn a_body_has_the_members_of_the_contract_in_order() {
    let body = ApiError::of(Code::InvalidApiKey).body("11111111-2222-9333-8444-555555555555");
    assert_eq!(
        body,
        concat!(
            r#"{"error":{"message":"Incorrect API key provided. ","type":"invalid_request_error","#,
            r#""param":null,"code":"invalid_api_key"},"request_id":"11111111-2222-9333-8444-555555555555"}"#
        )
    );
}

#[test]
fn what_the_operator_reads_never_reaches_the_caller() {
    let error = ApiError::of(Code::Internal).log("secret path");
    assert!(!error.body("r").contains("secret"));
    assert!(!error.to_string().contains("secret"));
    assert_eq!(error.logged(), Some("secret path"));
}

#[test]
fn the_model_layer_speaks_with_its_prefix() {
    let error = ApiError::of(Code::ModelParameter).say("Range of max_tokens should be [1, 32768]");
    assert_eq!(error.message(), "<400> InternalError.Algo.InvalidParameter: Range of max_tokens should be [1, 32768]");
}

#[test]
fn what_the_caller_did_wrong_is_not_worth_a_retry_and_what_broke_here_is() {
    for row in TABLE {
        match row.status {
            400..429 => assert!(!row.retryable, "{:?}", row.id),
            500.. => assert!(row.retryable, "{:?}", row.id),
            _ => {}
        }
    }
    // Too much of something passes; what has to be paid for does not.
    let waits: Vec<Code> = TABLE.iter().filter(|row| row.status == 429 && row.retryable).map(|row| row.id).collect();
    use Code::*;
    assert_eq!(waits, [RateLimited, Throttled, Busy, BurstRate, AllocationQuota, Concurrency]);
}

#[test]
fn every_row_says_what_it_means_in_both_languages() {
    for row in TABLE {
        for words in [row.means, row.advice] {
            assert!(words.en.ends_with('.') && words.zh.ends_with('。'), "{:?}", row.id);
        }
        assert!(!row.message.is_empty() && !row.native.is_empty() && !row.code.is_empty(), "{:?}", row.id);
        assert!((400..600).contains(&row.status), "{:?}", row.id);
        assert!(row.kind == "invalid_request_error" || row.kind == row.code, "{:?}", row.id);
    }
}

#[test]
fn a_native_body_is_flat() {
    let body = ApiError::of(Code::InvalidApiKey).native_body("some-id");
    assert_eq!(body, r#"{"code":"InvalidApiKey","message":"Invalid API-key provided.","request_id":"some-id"}"#);
}

#[test]
fn the_native_dialect_calls_an_unknown_model_a_wrong_parameter() {
    let error = ApiError::of(Code::ModelNotFound).say("The model `x` does not exist.");
    assert_eq!((error.status(), error.status_in(Dialect::Native)), (404, 400));
    let body = error.to_native_body("r");
    assert_eq!(body.code, "InvalidParameter");
    assert_eq!(body.message, "Model not exist. The model `x` does not exist.");
    assert_eq!(error.to_body("r").error.code, "model_not_found");
}

#[test]
fn an_error_in_a_stream_is_an_event_of_its_dialect() {
    let error = ApiError::of(Code::AllocationQuota);
    assert_eq!(
        error.sse_frame(Dialect::Native, 3, "r"),
        concat!(
            "id:3\nevent:error\nstatus:429\n:HTTP_STATUS/429\n",
            r#"data:{"code":"Throttling.AllocationQuota","#,
            r#""message":"Allocated quota exceeded, please increase your quota limit.","request_id":"r"}"#,
            "\n\n"
        )
    );
    assert!(error.sse_frame(Dialect::Compat, 3, "r").starts_with("data: {\"error\":{"));
}

#[test]
fn names_of_either_dialect_find_their_row() {
    for row in TABLE {
        let native = Code::from_native(row.native).unwrap();
        assert_eq!((native.row().native, native.row().status), (row.native, row.status), "{:?}", row.id);
        let compat = Code::from_compat(row.code).unwrap();
        assert_eq!(compat.row().code, row.code, "{:?}", row.id);
    }
    for (name, want) in [
        ("InvalidFile.Resolution", Some(Code::InvalidFile)),
        ("Throttling.SomethingNew", Some(Code::Throttled)),
        ("RequestTimeOut", Some(Code::ResponseTimeout)),
        ("Nonsense.Code", None),
        ("", None),
    ] {
        assert_eq!(Code::from_native(name), want, "{name}");
    }
    assert_eq!(Code::from_compat("Model.AccessDenied"), Some(Code::ModelAccessDenied));
}

#[test]
fn an_error_that_is_written_is_read_as_itself() {
    for row in TABLE {
        for dialect in [Dialect::Compat, Dialect::Native] {
            let error = ApiError::of(row.id);
            let read = ApiError::read(error.status_in(dialect), error.body_in(dialect, "r").as_bytes());
            assert_eq!(read.status_in(dialect), error.status_in(dialect), "{:?} {dialect:?}", row.id);
            assert_eq!(read.name_in(dialect), error.name_in(dialect), "{:?} {dialect:?}", row.id);
            assert_eq!(read.message_in(dialect), error.message_in(dialect), "{:?} {dialect:?}", row.id);
            assert_eq!(read.is_retryable(), error.is_retryable(), "{:?} {dialect:?}", row.id);
        }
    }
}

#[test]
fn errors_of_any_service_are_read() {
    let framed = "id:1\nevent:error\n:HTTP_STATUS/400\ndata:{\"code\":\"Arrearage\",\"message\":\"m\"}\n\n";
    for (status, body, code, name, message) in [
        (
            418,
            r#"{"error":{"message":"m","type":"teapot","param":null,"code":"short"}}"#,
            Code::InvalidParameter,
            "short",
            "m",
        ),
        (
            429,
            r#"{"error":{"message":"m","type":"requests","code":"rate_limit_exceeded"}}"#,
            Code::Throttled,
            "rate_limit_exceeded",
            "m",
        ),
        (
            404,
            r#"{"error":{"message":"no","type":"NotFoundError","code":404}}"#,
            Code::PathNotFound,
            "NotFoundError",
            "no",
        ),
        (
            422,
            r#"{"detail":[{"loc":["body"],"msg":"bad"}]}"#,
            Code::InvalidParameter,
            "invalid_parameter_error",
            "[{\"loc\":[\"body\"],\"msg\":\"bad\"}]",
        ),
        (500, "<html>oops</html>", Code::Internal, "internal_error", "<html>oops</html>"),
        (
            502,
            "",
            Code::BadGateway,
            "bad_gateway",
            "The service behind this one gave no valid answer, please try again later.",
        ),
        (400, framed, Code::Arrearage, "Arrearage", "m"),
        (
            429,
            r#"{"code":"Throttling.AllocationQuota","message":"Free allocated quota exceeded."}"#,
            Code::FreeQuota,
            "insufficient_quota",
            "Free allocated quota exceeded.",
        ),
        (
            500,
            r#"{"code":"InternalError.Algo","message":"list index out of range"}"#,
            Code::InvalidParameter,
            "invalid_parameter_error",
            "list index out of range",
        ),
        (
            400,
            r#"{"error":{"code":"invalid_parameter_error","type":"invalid_request_error","message":"<400> InternalError.Algo.InvalidParameter: Range of max_tokens should be [1, 5]"}}"#,
            Code::ModelParameter,
            "invalid_parameter_error",
            "<400> InternalError.Algo.InvalidParameter: Range of max_tokens should be [1, 5]",
        ),
    ] {
        let error = ApiError::read(status, body.as_bytes());
        assert_eq!(error.code(), code, "{body}");
        assert_eq!(error.name_in(Dialect::Compat), name, "{body}");
        assert_eq!(error.message(), message, "{body}");
    }
}
