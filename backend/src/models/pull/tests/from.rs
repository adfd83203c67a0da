//! Files the user names.

use super::*;

#[test]
fn a_named_file_or_folder_is_copied_and_checked() {
    let bench = Bench::of(3_000_000);
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("toy.gguf");
    fs::write(&file, &bench.content).unwrap();
    let entry = bench.entry(vec![url("never asked", &nobody())]);
    for from in [file.clone(), outside.path().to_owned()] {
        let _ = fs::remove_dir_all(bench.store().models_dir());
        bench.is_done(bench.pull(&entry, &PullOptions { from: Some(from), ..PullOptions::default() }));
    }
    assert!(file.exists(), "the user's file stays");
}

#[test]
fn a_named_file_that_is_another_is_refused() {
    let bench = Bench::of(1000);
    let outside = tempfile::tempdir().unwrap();
    let entry = bench.entry(vec![]);
    let mut other = bench.content.clone();
    other[500] ^= 1;
    fs::write(outside.path().join("other.gguf"), &other).unwrap();
    fs::write(outside.path().join("short.gguf"), &bench.content[..999]).unwrap();
    let pull = |name: &str| {
        let options = PullOptions { from: Some(outside.path().join(name)), ..PullOptions::default() };
        let error = bench.pull(&entry, &options).unwrap_err();
        bench.has_no_file();
        error
    };
    let PullError::WrongHash { want, got, .. } = pull("other.gguf") else { panic!() };
    assert_eq!((&*want, &*got), (&*entry.sha256, &*sha256(&other)));
    let PullError::NotThere { what, .. } = pull("short.gguf") else { panic!() };
    assert_eq!(what, "has 999 bytes, the catalogue says 1000");
    assert!(matches!(pull("absent.gguf"), PullError::NotThere { .. }));
    assert!(matches!(pull(""), PullError::NotThere { .. }), "a folder without the file");
}

#[test]
fn a_file_in_the_users_folder_is_used_in_place_once_its_hash_is_right() {
    let bench = Bench::of(1000);
    let folder = tempfile::tempdir().unwrap();
    let store = bench.store().with_folder(folder.path());
    let entry = bench.entry(vec![]);
    let file = folder.path().join("toy.gguf");
    fs::write(&file, &bench.content).unwrap();
    assert_eq!(pull(&entry, &store, &PullOptions::default(), &mut |_| {}).unwrap(), file);

    fs::write(&file, vec![0; 1000]).unwrap();
    let error = pull(&entry, &store, &PullOptions::default(), &mut |_| {}).unwrap_err();
    assert!(matches!(error, PullError::WrongHash { .. }), "{error}");
}

#[test]
fn a_model_larger_than_the_disk_is_refused_before_anything_is_asked() {
    let bench = Bench::of(10);
    let mut entry = bench.entry(vec![url("never asked", &nobody())]);
    entry.bytes = 1 << 42;
    let outside = tempfile::tempdir().unwrap();
    for only in [vec![], vec!["never asked".to_owned()]] {
        let options = PullOptions { only, ..PullOptions::default() };
        match bench.pull(&entry, &options) {
            Err(PullError::DiskFull { needed, free, .. }) => assert!(needed >= 1 << 42 && free < needed),
            other => panic!("{other:?}"),
        }
    }
    drop(outside);
    bench.has_no_file();
}
