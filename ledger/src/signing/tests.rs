use super::*;

const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
// 2023-10-26T10:22:32Z
const SENT: i64 = 1_698_315_752;

fn headers(host: &str) -> Vec<(String, String)> {
    [
        ("host", host),
        ("x-acs-action", "RunInstances"),
        ("x-acs-content-sha256", EMPTY),
        ("x-acs-date", "2023-10-26T10:22:32Z"),
        ("x-acs-signature-nonce", "3156853299f313e23d1673dc12e1703d"),
        ("x-acs-version", "2014-05-26"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

fn check(request: &Request<'_>, header: &str, now: i64) -> Result<Checked, Refused> {
    request.check(&Presented::parse(header)?, &SigningSecret::told("YourAccessKeySecret"), now)
}

#[test]
fn the_example_that_alibaba_cloud_publishes_is_right_to_the_digit() {
    let headers = headers("ecs.cn-shanghai.aliyuncs.com");
    let query = "ImageId=win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd&RegionId=cn-shanghai";
    let request = Request { method: "POST", path: "/", query, headers: &headers };
    let header = request.sign("YourAccessKeyId", &SigningSecret::told("YourAccessKeySecret")).unwrap();
    assert_eq!(
        header,
        "ACS3-HMAC-SHA256 Credential=YourAccessKeyId,\
         SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version,\
         Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
    );
    let checked = check(&request, &header, SENT).unwrap();
    assert_eq!((checked.nonce.as_str(), checked.expires_at), ("3156853299f313e23d1673dc12e1703d", SENT + 900));
    assert!(checked.is_of(b"") && !checked.is_of(b" "));
}

#[test]
fn the_official_python_package_signs_the_same() {
    // `Utils.get_authorization` of alibabacloud-tea-openapi 0.4.6, which signs every header, with the path
    // `/admin/v1/accounts/团队 a~b` and the query {"q": "a b+c/中", "empty": "", "A": "*"}.
    let hash = "2689367b205c16ce32ed4200942b8b8b1e262dfc70d9bc9fbc77c49699a4f1df";
    let headers = [
        ("host", "127.0.0.1:8080"),
        ("user-agent", " sdk/1 "),
        ("content-type", "application/json; charset=utf-8"),
        ("x-acs-content-sha256", hash),
        ("x-acs-date", "2026-01-02T03:04:05Z"),
        ("x-acs-signature-nonce", "n-1"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let request = Request {
        method: "PATCH",
        path: "/admin/v1/accounts/%E5%9B%A2%E9%98%9F%20a~b",
        query: "q=a+b%2Bc%2F%E4%B8%AD&empty=&A=*",
        headers: &headers,
    };
    let header = "ACS3-HMAC-SHA256 Credential=ak_1,\
                  SignedHeaders=content-type;host;user-agent;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce,\
                  Signature=33ba96cdd5d8c310be53a9a33ae57129d93a88c3815e1abcfa65b9db5d9e3378";
    let checked = check(&request, header, 1_767_323_045).unwrap();
    assert!(checked.is_of(b"ok"));
}

#[test]
fn whatever_is_changed_on_the_way_is_found() {
    let all = headers("h");
    let request = Request { method: "GET", path: "/a/b%20c", query: "x=1&y=2", headers: &all };
    let header = request.sign("ak", &SigningSecret::told("YourAccessKeySecret")).unwrap();
    assert!(check(&request, &header, SENT).is_ok());
    // What says the same says the same.
    let same = Request { path: "/a/b%20%63", query: "y=2&x=%31", ..request };
    assert!(check(&same, &header, SENT).is_ok());
    let other = |name: &str, value: &str| -> Vec<(String, String)> {
        let changed = |(old, was): (String, String)| if old == name { (old, value.to_owned()) } else { (old, was) };
        all.clone().into_iter().map(changed).collect()
    };
    let (host, nonce, hash) =
        (other("host", "i"), other("x-acs-signature-nonce", "other"), other("x-acs-content-sha256", &"0".repeat(64)));
    let date = other("x-acs-date", "2023-10-26T10:22:33Z");
    for changed in [
        Request { method: "PUT", ..request },
        Request { path: "/a/b%20d", ..request },
        Request { path: "/a/b%20c/", ..request },
        Request { query: "x=1&y=3", ..request },
        Request { query: "x=1", ..request },
        Request { headers: &host, ..request },
        Request { headers: &nonce, ..request },
        Request { headers: &hash, ..request },
        Request { headers: &date, ..request },
    ] {
        let refused = check(&changed, &header, SENT);
        assert!(matches!(refused, Err(Refused::Mismatch { .. })), "{changed:?}: {refused:?}");
    }
    let other_secret = request.check(&Presented::parse(&header).unwrap(), &SigningSecret::told("x"), SENT);
    assert!(matches!(other_secret, Err(Refused::Mismatch { .. })));
}

#[test]
fn a_clock_may_be_off_by_a_quarter_of_an_hour_and_is_told_by_how_much() {
    let all = headers("h");
    let request = Request { method: "GET", path: "/", query: "", headers: &all };
    let header = request.sign("ak", &SigningSecret::told("YourAccessKeySecret")).unwrap();
    for now in [SENT - 900, SENT, SENT + 900] {
        assert!(check(&request, &header, now).is_ok(), "{now}");
    }
    for (now, said) in [(SENT + 901, "15 min 1 s behind the server's"), (SENT - 7_265, "121 min 5 s ahead of")] {
        let refused = check(&request, &header, now).unwrap_err();
        assert!(matches!(refused, Refused::Time { .. }) && refused.to_string().contains(said), "{refused}");
    }
}

#[test]
fn what_is_not_whole_is_named() {
    let secret = SigningSecret::told("YourAccessKeySecret");
    let all = headers("h");
    let header = Request { method: "GET", path: "/", query: "", headers: &all }.sign("ak", &secret).unwrap();
    for (cut, said) in [
        ("Credential=ak,", "no Credential"),
        ("SignedHeaders=", "no SignedHeaders"),
        ("Signature=", "no Signature"),
        ("ACS3-HMAC-SHA256 ", "must begin with"),
    ] {
        let refused = Presented::parse(&header.replace(cut, "")).unwrap_err().to_string();
        assert!(refused.contains(said), "{cut}: {refused}");
    }
    assert!(Presented::parse("ACS3-HMAC-SHA256 Credential=a,SignedHeaders=host,Signature=00").is_err());
    let without = |name: &str| all.iter().filter(|(other, _)| other != name).cloned().collect::<Vec<_>>();
    for name in ["x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256", "x-acs-version"] {
        let refused = check(&Request { method: "GET", path: "/", query: "", headers: &without(name) }, &header, SENT);
        assert!(matches!(&refused, Err(Refused::Incomplete(why)) if why.contains(name)), "{name}: {refused:?}");
    }
    for (name, value) in [("x-acs-parent", "1"), ("x-acs-date", "2023-10-26T10:22:32Z")] {
        let mut more = all.clone();
        more.push((name.to_owned(), value.to_owned()));
        let refused = check(&Request { method: "GET", path: "/", query: "", headers: &more }, &header, SENT);
        assert!(matches!(&refused, Err(Refused::Incomplete(why)) if why.contains(name)), "{name}: {refused:?}");
    }
    let unsigned = header.replace("SignedHeaders=host;", "SignedHeaders=");
    let refused = check(&Request { method: "GET", path: "/", query: "", headers: &all }, &unsigned, SENT);
    assert!(matches!(&refused, Err(Refused::Incomplete(why)) if why.contains("host")), "{refused:?}");
    assert!(!format!("{:?}", Presented::parse(&header).unwrap()).contains("ignature: ["));
}

#[test]
fn no_header_makes_it_panic() {
    for text in ["", "ACS3-HMAC-SHA256", "ACS3-HMAC-SHA256 ,,,===", "ACS3-HMAC-SHA256 Credential==,Signature=é"] {
        assert!(Presented::parse(text).is_err(), "{text}");
    }
    for (path, query) in [("", "%"), ("%%%", "&&&="), ("/%e", "a=%f&%"), ("//", "=%ff")] {
        let _ = (canonical_path(path), canonical_query(query));
    }
}
