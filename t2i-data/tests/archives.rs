//! Archives that are not as they should be.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;

use t2i_core::Error;
use t2i_data::{Archives, FLUENT_3D, FLUENT_FLAT, Library, NOTO, PACKAGES};

/// What loading from a folder says is wrong.
fn complaint(folder: &std::path::Path) -> Error {
    let archives = Archives::open(folder).unwrap();
    Library::with_concepts(&archives, support::concepts(), 32).err().expect("the folder is not as it should be")
}

#[test]
fn a_missing_archive_is_named_with_the_command_that_fetches_it() {
    let folder = support::folder();
    fs::remove_file(folder.path().join(FLUENT_FLAT.file_name())).unwrap();
    assert_eq!(Archives::missing(folder.path()), [FLUENT_FLAT]);
    let error = Archives::open(folder.path()).unwrap_err();
    assert!(matches!(&error, Error::MissingPart { path, .. } if path == folder.path()));
    let text = error.to_string();
    assert!(text.contains("iconify-json-fluent-emoji-flat-1.2.6.tgz"), "{text}");
    assert!(text.contains("npm pack @iconify-json/fluent-emoji-flat@1.2.6"), "{text}");
}

#[test]
fn an_empty_folder_lacks_everything() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(Archives::missing(folder.path()), PACKAGES);
    assert!(matches!(Archives::open(folder.path().join("nowhere")), Err(Error::MissingPart { .. })));
}

#[test]
fn another_version_is_refused() {
    let folder = support::folder();
    support::write(folder.path(), NOTO, "1.2.8");
    let error = complaint(folder.path());
    assert!(matches!(&error, Error::Corrupt { path, .. } if path.ends_with(NOTO.file_name())));
    assert!(error.to_string().contains("it is 1.2.8, not version 1.2.9"), "{error}");
}

#[test]
fn a_broken_archive_is_named() {
    let folder = support::folder();
    let path = folder.path().join(FLUENT_3D.file_name());
    let whole = fs::read(&path).unwrap();
    for bytes in [&whole[..whole.len() / 2], b"no archive", b""] {
        fs::write(&path, bytes).unwrap();
        let error = complaint(folder.path());
        assert!(matches!(&error, Error::Corrupt { path: named, .. } if *named == path), "{error}");
    }
}

#[test]
fn a_concept_without_art_is_named() {
    let folder = support::folder();
    let mut concepts = support::concepts();
    concepts[1].code = "1f34e".to_owned();
    let error = Library::with_concepts(&Archives::open(folder.path()).unwrap(), concepts, 32).err().unwrap();
    assert!(error.to_string().contains("it has no `bar` (1f34e)"), "{error}");
}

#[test]
fn labels_come_with_their_tags() {
    let folder = support::folder();
    assert_eq!(Archives::open(folder.path()).unwrap().labels().unwrap(), ["red square red geometric", "ruler"]);
}
