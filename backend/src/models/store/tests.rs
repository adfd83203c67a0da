use super::*;

/// What `name` resolves to, in words.
fn resolved(store: &Store, name: &str) -> String {
    match store.resolve(&store.catalogue().unwrap(), name) {
        Ok(Resolved::Here { name, path }) => format!("{name} at {}", path.file_name().unwrap().display()),
        Ok(Resolved::Missing(entry)) => format!("{} missing", entry.name),
        Err(ResolveError::Unknown { near, .. }) => format!("unknown, near {near:?}"),
        Err(ResolveError::NoFile { .. }) => "no file".into(),
        Err(ResolveError::NotAFile { .. }) => "not a file".into(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_name_means_a_catalogue_entry_then_an_installed_file_then_a_path() {
    let home = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let store = Store::at(home.path());
    fs::create_dir_all(store.models_dir()).unwrap();
    fs::write(store.models_dir().join("Tiny-Q8.gguf"), b"x").unwrap();
    fs::write(store.models_dir().join("notes.txt"), b"x").unwrap();
    // Half a file under a catalogue's name is not that model.
    fs::write(store.models_dir().join("qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"), b"half").unwrap();
    fs::write(outside.path().join("own.gguf"), b"x").unwrap();
    let own = outside.path().join("own.gguf").display().to_string();
    for (name, want) in [
        ("qwen2.5-coder-1.5b-instruct", "qwen2.5-coder-1.5b-instruct missing"),
        (" Qwen2.5-Coder-1.5B-Instruct\n", "qwen2.5-coder-1.5b-instruct missing"),
        ("qwen2.5-coder:0.5b", "qwen2.5-coder-0.5b-instruct missing"),
        ("qwen2.5-coder-0.5b-instruct-q4_k_m.gguf", "qwen2.5-coder-0.5b-instruct missing"),
        ("tiny-q8", "Tiny-Q8 at Tiny-Q8.gguf"),
        ("tiny-q8.gguf", "Tiny-Q8 at Tiny-Q8.gguf"),
        (own.as_str(), "own at own.gguf"),
        ("./nowhere.gguf", "no file"),
        ("nowhere.gguf", "no file"),
        ("/", "not a file"),
        (
            "qwen2.5-coder-1.5b-instrukt",
            "unknown, near [\"qwen2.5-coder-1.5b-instruct\", \"qwen2.5-coder-0.5b-instruct\"]",
        ),
        ("tinyq8", "unknown, near [\"Tiny-Q8\"]"),
        ("notes", "unknown, near []"),
        ("", "unknown, near []"),
    ] {
        assert_eq!(resolved(&store, name), want, "{name:?}");
    }
}

#[test]
fn a_folder_of_the_user_is_looked_into() {
    let home = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("own.gguf"), b"xy").unwrap();
    let store = Store::at(home.path()).with_folder(folder.path());
    assert_eq!(resolved(&store, "own"), "own at own.gguf");
    let installed = store.installed(&Catalogue::built_in()).unwrap();
    assert_eq!(installed.iter().map(|file| (file.name.as_str(), file.bytes)).collect::<Vec<_>>(), [("own", 2)]);
    assert!(!store.models_dir().exists(), "looking creates nothing");
}
