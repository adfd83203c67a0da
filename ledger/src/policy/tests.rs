use super::*;

fn patterns(texts: &str) -> Vec<ModelPattern> {
    texts.split_whitespace().map(|text| text.parse().unwrap()).collect()
}

fn networks(texts: &str) -> Vec<Cidr> {
    texts.split_whitespace().map(|text| text.parse().unwrap()).collect()
}

fn shown<T: ToString>(list: Option<Vec<T>>) -> String {
    list.map_or("all".to_owned(), |list| list.iter().map(T::to_string).collect::<Vec<_>>().join(" "))
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn a_key_without_rules_may_call_any_model_from_anywhere() {
    let rules = KeyRules::default();
    for address in [None, Some(ip("203.0.113.9")), Some(ip("2001:db8::1"))] {
        assert_eq!(check(&rules, "qwen-plus", address, u64::MAX), Ok(()));
    }
}

#[test]
fn the_rule_that_refuses_is_named_and_the_first_of_several() {
    let mut rules = KeyRules {
        models: Some(patterns("qwen-plus")),
        networks: Some(networks("10.0.0.0/8")),
        expires_at: Some(100),
        disabled: true,
        role: Role::Billing,
    };
    let outside = Some(ip("11.0.0.1"));
    let says =
        |rules: &KeyRules, address| check(rules, "qwen-max", address, 100).map_err(|refusal| refusal.to_string());
    assert_eq!(says(&rules, outside), Err("the key is disabled".to_owned()));
    rules.disabled = false;
    assert_eq!(says(&rules, outside), Err("the key ended at 100, it is 100".to_owned()));
    rules.expires_at = Some(101);
    assert_eq!(says(&rules, outside), Err("the key may not be used from 11.0.0.1".to_owned()));
    assert_eq!(says(&rules, None), Err("the key may not be used from an unknown address".to_owned()));
    rules.networks = Some(networks("10.0.0.0/8 11.0.0.1"));
    assert_eq!(says(&rules, outside), Err("a key of the role billing may not call models".to_owned()));
    rules.role = Role::Developer;
    assert_eq!(says(&rules, outside), Err("the key may not use the model `qwen-max`".to_owned()));
    rules.models = Some(patterns("qwen-plus qwen-m*"));
    assert_eq!(says(&rules, outside), Ok(()));
}

#[test]
fn an_empty_list_is_none_not_all() {
    let none = KeyRules { models: Some(Vec::new()), ..KeyRules::default() };
    assert!(matches!(check(&none, "qwen-plus", None, 0), Err(Refusal::Model { .. })));
    let nowhere = KeyRules { networks: Some(Vec::new()), ..KeyRules::default() };
    assert!(matches!(check(&nowhere, "qwen-plus", Some(ip("::1")), 0), Err(Refusal::Network { .. })));
}

#[test]
fn a_pattern_is_a_name_or_the_beginning_of_one() {
    for (pattern, yes, no) in [
        ("qwen-plus", "qwen-plus", "qwen-plus-latest Qwen-Plus qwen"),
        ("qwen-*", "qwen- qwen-plus qwen-plus-latest", "qwen3-max qwen QWEN-plus"),
        ("*", "qwen-plus x", ""),
        ("通义*", "通义千问", "通"),
    ] {
        let parsed: ModelPattern = pattern.parse().unwrap();
        assert_eq!(parsed.to_string(), pattern);
        assert!(yes.split_whitespace().all(|model| parsed.matches(model)), "{pattern}");
        assert!(!no.split_whitespace().any(|model| parsed.matches(model)), "{pattern}");
    }
}

#[test]
fn patterns_that_mean_something_else_are_refused() {
    let long = "q".repeat(257);
    for (text, says) in [
        ("", "a model pattern has 1 to 256 bytes, this one has 0"),
        (&*long, "a model pattern has 1 to 256 bytes, this one has 257"),
        ("qwen-*-max", "a model pattern may have one `*`, at its end: `qwen-*-max` has one at byte 5"),
        ("**", "a model pattern may have one `*`, at its end: `**` has one at byte 0"),
        ("qwen plus", "a model pattern has no white space: \"qwen plus\" has ' '"),
        ("qwen\n", "a model pattern has no white space: \"qwen\\n\" has '\\n'"),
    ] {
        assert_eq!(text.parse::<ModelPattern>().unwrap_err().to_string(), says);
    }
}

#[test]
fn a_network_has_its_addresses_and_no_others() {
    for (network, yes, no) in [
        ("10.0.0.0/8", "10.0.0.0 10.255.255.255 ::ffff:10.1.2.3", "9.255.255.255 11.0.0.0 ::10.0.0.1"),
        ("192.0.2.128/25", "192.0.2.128 192.0.2.255", "192.0.2.127 192.0.3.128"),
        ("203.0.113.7", "203.0.113.7", "203.0.113.6 203.0.113.8"),
        ("0.0.0.0/0", "1.2.3.4 ::ffff:1.2.3.4", "::1 2001:db8::1"),
        ("2001:db8::/32", "2001:db8:: 2001:db8:ffff::1", "2001:db9:: 10.0.0.1"),
        ("::1", "::1", "::2 127.0.0.1"),
        ("::/0", "::1 2001:db8::1", "1.2.3.4 ::ffff:1.2.3.4"),
        ("::ffff:10.0.0.0/104", "10.1.2.3 ::ffff:10.1.2.3", "11.0.0.1"),
        ("fe80::/10", "fe80::1 febf:ffff::", "fec0::"),
    ] {
        let parsed: Cidr = network.parse().unwrap();
        assert!(yes.split_whitespace().all(|address| parsed.contains(ip(address))), "{network}");
        assert!(!no.split_whitespace().any(|address| parsed.contains(ip(address))), "{network}");
        assert_eq!(parsed.to_string().parse(), Ok(parsed));
    }
}

#[test]
fn texts_that_are_no_networks_say_why() {
    for (text, says) in [
        ("", "`` is no network: `` is no IPv4 or IPv6 address"),
        ("10.0.0/8", "`10.0.0/8` is no network: `10.0.0` is no IPv4 or IPv6 address"),
        ("10.0.0.256", "`10.0.0.256` is no network: `10.0.0.256` is no IPv4 or IPv6 address"),
        ("010.0.0.0/8", "`010.0.0.0/8` is no network: `010.0.0.0` is no IPv4 or IPv6 address"),
        ("localhost", "`localhost` is no network: `localhost` is no IPv4 or IPv6 address"),
        ("10.0.0.0/33", "`10.0.0.0/33` is no network: after `/` comes a number from 0 to 32, not `33`"),
        ("10.0.0.0/", "`10.0.0.0/` is no network: after `/` comes a number from 0 to 32, not ``"),
        ("10.0.0.0/+8", "`10.0.0.0/+8` is no network: after `/` comes a number from 0 to 32, not `+8`"),
        ("10.0.0.0/8/8", "`10.0.0.0/8/8` is no network: after `/` comes a number from 0 to 32, not `8/8`"),
        ("2001:db8::/129", "`2001:db8::/129` is no network: after `/` comes a number from 0 to 128, not `129`"),
        ("10.1.0.0/8", "`10.1.0.0/8` has bits behind its 8: the network is 10.0.0.0/8"),
        ("2001:db8::1/64", "`2001:db8::1/64` has bits behind its 64: the network is 2001:db8::/64"),
        ("1.2.3.4/0", "`1.2.3.4/0` has bits behind its 0: the network is 0.0.0.0/0"),
    ] {
        assert_eq!(text.parse::<Cidr>().unwrap_err().to_string(), says);
    }
}

#[test]
fn every_role_may_do_what_the_table_says() {
    // accounts projects keys prices grants usage bills models
    for (role, table) in [
        (Role::Owner, "yyyyyyyy"),
        (Role::Admin, "yyy..yyy"),
        (Role::Billing, "...yyyy."),
        (Role::Developer, "..y..yyy"),
        (Role::Viewer, ".....yy."),
    ] {
        let row: String = Action::ALL.into_iter().map(|action| if may(role, action) { 'y' } else { '.' }).collect();
        assert_eq!(row, table, "{role}");
        assert_eq!(role.to_string().parse(), Ok(role));
    }
    assert_eq!(
        "root".parse::<Role>().unwrap_err().to_string(),
        "a role is owner, admin, billing, developer or viewer, not `root`"
    );
}

#[test]
fn what_two_roles_have_in_common_is_a_role() {
    for (a, b) in Role::ALL.into_iter().flat_map(|a| Role::ALL.map(|b| (a, b))) {
        for action in Action::ALL {
            assert_eq!(may(a.both(b), action), may(a, action) && may(b, action), "{a} {b} {action}");
        }
    }
}

#[test]
fn a_narrowed_list_has_what_both_lists_have() {
    for (parent, child, models) in [
        ("qwen3-*", "qwen3-max qwen-plus", "qwen3-max"),
        ("qwen3-max qwen-plus", "*", "qwen3-max qwen-plus"),
        ("qwen-* qwen3-*", "qwen*", "qwen-* qwen3-*"),
        ("qwen-*", "qwen-plus qwen-p* qwen-plus", "qwen-p*"),
        ("qwen-plus", "qwen-max", ""),
        ("qwen-plus", "", ""),
    ] {
        let rules = |list| KeyRules { models: Some(patterns(list)), ..KeyRules::default() };
        assert_eq!(shown(narrow(&rules(parent), &rules(child)).models), models, "{parent} | {child}");
        assert_eq!(shown(narrow(&rules(parent), &KeyRules::default()).models), parent);
        assert_eq!(shown(narrow(&KeyRules::default(), &rules(child)).models), child);
    }
    for (parent, child, both) in [
        ("10.0.0.0/8", "10.1.0.0/16 11.0.0.0/8 ::1", "10.1.0.0/16"),
        ("10.1.2.3", "0.0.0.0/0 ::/0", "10.1.2.3/32"),
        ("2001:db8::/32", "2001:db8:1::/48 2001:db9::/32", "2001:db8:1::/48"),
        ("2001:db8::/32", "2000::/3", "2001:db8::/32"),
    ] {
        let rules = |list| KeyRules { networks: Some(networks(list)), ..KeyRules::default() };
        assert_eq!(shown(narrow(&rules(parent), &rules(child)).networks), both, "{parent} | {child}");
    }
}

#[test]
fn a_narrowed_key_may_do_exactly_what_both_may() {
    let rules = |n: usize| KeyRules {
        models: [None, Some(""), Some("qwen-*"), Some("qwen-plus qwen3-*"), Some("*")][n % 5].map(patterns),
        networks: [None, Some("10.0.0.0/8"), Some("10.1.0.0/16 ::1"), Some("0.0.0.0/0")][n / 5 % 4].map(networks),
        expires_at: [None, Some(50), Some(150)][n / 20 % 3],
        disabled: n / 60 % 2 == 1,
        role: Role::ALL[n / 120 % 5],
    };
    let mut allowed = 0;
    for (a, b) in (0..600).flat_map(|a| (0..600).step_by(7).map(move |b| (a, b))) {
        let (parent, child) = (rules(a), rules(b));
        let both = narrow(&parent, &child);
        for model in ["qwen-plus", "qwen-max", "qwen3-max"] {
            let (address, now) = ([None, Some(ip("10.1.0.1")), Some(ip("10.2.0.1"))][(a + b) % 3], 100);
            let may = |rules| check(rules, model, address, now).is_ok();
            assert_eq!(may(&both), may(&parent) && may(&child), "{parent:?} {child:?} {model} {address:?}");
            allowed += usize::from(may(&both));
        }
    }
    assert!(allowed > 100);
}
