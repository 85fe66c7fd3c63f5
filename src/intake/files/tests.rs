//! The file store on a real folder.

#[path = "../../../tests/support/photo.rs"]
mod photo;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use self::photo::photo;
use super::content::eicar;
use super::*;
use crate::model::form::FileFormat;

const PDF: &[u8] = b"%PDF-1.7\nbonjour\n%%EOF\n";

fn store() -> (tempfile::TempDir, FileStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = FileStore::open(dir.path(), &Seal::from_master(&[7; 32]), 0).unwrap();
    (dir, store)
}

fn limits(max_bytes: u64) -> UploadLimits {
    UploadLimits { max_bytes, formats: vec![FileFormat::Pdf, FileFormat::Jpg] }
}

fn upload(store: &FileStore, name: &str, bytes: &[u8]) -> Result<StoredFile, FileError> {
    let mut upload = store.begin(name, limits(1 << 20))?;
    bytes.chunks(7).try_for_each(|chunk| upload.write(chunk))?;
    upload.finish()
}

fn draft_count(store: &FileStore) -> usize {
    fs::read_dir(&store.folders.shelves.folder.drafts).unwrap().count()
}

#[test]
fn a_file_is_found_again_then_kept_then_read_back() {
    let (dir, store) = store();
    let file = upload(&store, "../Plan du terrain.PDF", PDF).unwrap();
    assert_eq!((file.name.as_str(), file.media_type.as_str()), ("Plan du terrain.pdf", "application/pdf"));
    assert_eq!(file.size, PDF.len() as u64);
    assert_eq!(store.draft(&file.id).unwrap().as_ref(), Some(&file));
    let mode = fs::metadata(store.folders.shelves.folder.draft_path(&file.id)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    store.accept(std::slice::from_ref(&file)).unwrap();
    let kept = dir.path().join("pj").join(&file.id[..2]).join(&file.id);
    assert!(kept.is_file());
    assert_eq!(store.read(&file).unwrap(), PDF);
    store.accept(std::slice::from_ref(&file)).unwrap();
    assert_eq!(store.draft(&file.id).unwrap(), Some(file.clone()), "a second press still finds it");
    store.remove(std::slice::from_ref(&file.id)).unwrap();
    assert!(matches!(store.read(&file), Err(FileError::Missing { .. })));
    assert_eq!(draft_count(&store), 0);
}

#[test]
fn what_is_refused_leaves_nothing_behind() {
    let (_dir, store) = store();
    let mut large = store.begin("a.pdf", limits(10)).unwrap();
    large.write(b"%PDF-1.7\n").unwrap();
    assert!(matches!(large.write(b"ab"), Err(FileError::TooLarge { max_bytes: 10 })));
    drop(large);
    assert!(matches!(upload(&store, "vide.pdf", b""), Err(FileError::Empty)));
    assert!(matches!(
        upload(&store, "virus.pdf", b"MZ\x90\0"),
        Err(FileError::Unwanted(Unwanted::Format(Content::Program)))
    ));
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    assert!(matches!(upload(&store, "a.png", png), Err(FileError::Unwanted(Unwanted::Format(Content::Png)))));
    let mut early = store.begin("a.pdf", limits(1 << 20)).unwrap();
    assert!(matches!(early.write(&[b'x'; 2000]), Err(FileError::Unwanted(_))), "refused before it is all sent");
    drop(early);
    assert_eq!(draft_count(&store), 0);
}

#[test]
fn no_upload_begins_without_space() {
    let dir = tempfile::tempdir().unwrap();
    let store = FileStore::open(dir.path(), &Seal::from_master(&[7; 32]), u64::MAX).unwrap();
    assert!(matches!(store.begin("a.pdf", limits(10)), Err(FileError::Full { .. })));
}

#[test]
fn a_changed_file_is_not_given_back() {
    let (_dir, store) = store();
    let file = upload(&store, "a.pdf", PDF).unwrap();
    store.accept(std::slice::from_ref(&file)).unwrap();
    let mut changed = PDF.to_vec();
    changed[12] ^= 1;
    fs::write(store.folders.shelves.folder.kept_path(&file.id), changed).unwrap();
    assert!(matches!(store.read(&file), Err(FileError::Damaged { .. })));
}

#[test]
fn ids_are_never_paths() {
    let (_dir, store) = store();
    for id in ["", "../../../../etc/passwd", "0123", "é", &"A".repeat(32), &"/".repeat(32), &"é".repeat(16)] {
        assert_eq!(store.draft(id).unwrap(), None, "{id:?}");
        let file = StoredFile {
            id: id.into(),
            name: "a.pdf".into(),
            media_type: "application/pdf".into(),
            size: 1,
            hash: String::new(),
            cautions: Vec::new(),
        };
        assert!(matches!(store.read(&file), Err(FileError::Missing { .. })));
        assert!(matches!(store.accept(&[file]), Err(FileError::Missing { .. })));
        store.remove(&[id.to_owned()]).unwrap();
    }
}

fn on_disk(store: &FileStore) -> Vec<u8> {
    let mut all = Vec::new();
    for folder in [&store.folders.shelves.folder.drafts, &store.folders.shelves.folder.kept] {
        for name in folder::names(folder).unwrap() {
            all.extend(fs::read(folder.join(name)).unwrap_or_default());
        }
    }
    all
}

#[test]
fn a_photo_is_kept_upright_small_and_without_its_place() {
    let (_dir, store) = store();
    let mut sent = store.begin("IMG_1.JPG", limits(4 << 20)).unwrap().as_photo();
    sent.write(&photo(3000, 1500)).unwrap();
    let file = sent.finish().unwrap();
    assert_eq!((file.name.as_str(), file.media_type.as_str()), ("IMG_1.jpg", "image/jpeg"));
    store.accept(std::slice::from_ref(&file)).unwrap();
    let kept = store.read(&file).unwrap();
    assert_eq!((kept.len() as u64, blake3::hash(&kept).to_hex().to_string()), (file.size, file.hash));
    for gone in [&b"CANARI"[..], b"Exif", b"<script"] {
        assert!(memchr::memmem::find(&kept, gone).is_none(), "{gone:?}");
    }
    let image = image::load_from_memory(&kept).unwrap();
    assert_eq!((image.width(), image.height()), (1280, 2560), "turned, then no longer than a screen");
    assert_eq!(draft_count(&store), 1, "the description alone");
    assert!(memchr::memmem::find(&on_disk(&store), b"CANARI").is_none(), "never in clear");
}

#[test]
fn what_is_dangerous_is_refused_whatever_its_name() {
    let (_dir, store) = store();
    let eicar = eicar();
    let launch = b"%PDF-1.7\n1 0 obj<</S/Launch/F(cmd.exe)>>endobj\n%%EOF\n".to_vec();
    for (name, bytes, expected) in [
        ("facture.pdf", b"MZ\x90\0\x03".to_vec(), Unwanted::Format(Content::Program)),
        ("photo.jpg", b"<svg onload='x'>".to_vec(), Unwanted::Format(Content::Svg)),
        ("photo.jpg", b"<!DOCTYPE html><script>".to_vec(), Unwanted::Format(Content::Html)),
        ("a.pdf", eicar.to_vec(), Unwanted::Virus),
        ("a.pdf", [PDF, &eicar].concat(), Unwanted::Virus),
        ("a.pdf", launch, Unwanted::Launch),
        ("a.jpg", photo(40, 20)[..300].to_vec(), Unwanted::BrokenPicture),
        ("a.jpg", [&photo(40, 20)[..], &eicar].concat(), Unwanted::Virus),
        ("a.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".to_vec(), Unwanted::Format(Content::Heic)),
    ] {
        match upload(&store, name, &bytes) {
            Err(FileError::Unwanted(found)) => assert_eq!(found, expected, "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    assert_eq!((draft_count(&store), store.counts().draft_bytes), (0, 0));
    assert_eq!(store.counts().refused.values().sum::<u64>(), 9);
}

#[test]
fn drafts_and_accepted_files_have_a_ceiling() {
    let dir = tempfile::tempdir().unwrap();
    let seal = Seal::from_master(&[7; 32]);
    let options = FileOptions { max_draft_bytes: 20_000, max_kept_bytes: 40_000, ..FileOptions::free(0) };
    let store = FileStore::open_with(dir.path(), &seal, options.clone()).unwrap();
    let padded = [PDF, &[b'\n'; 9_000]].concat();
    let first = upload(&store, "a.pdf", &padded).unwrap();
    let second = upload(&store, "b.pdf", &padded).unwrap();
    assert!(matches!(upload(&store, "c.pdf", &padded), Err(FileError::Quota { kept: false })));
    assert_eq!(draft_count(&store), 4, "two files and their descriptions");
    store.accept(&[first.clone(), second]).unwrap();
    assert_eq!(store.counts().draft_bytes, 0);
    let others: Vec<_> = (0..2).map(|_| upload(&store, "d.pdf", &padded).unwrap()).collect();
    store.accept(&others).unwrap();
    // Four files: nothing more begins, and a store opened again knows it.
    let again = FileStore::open_with(dir.path(), &seal, FileOptions { max_kept_bytes: 36_000, ..options }).unwrap();
    assert!(matches!(again.begin("e.pdf", limits(10)), Err(FileError::Quota { kept: true })));
    again.remove(&[first.id]).unwrap();
    assert!(again.begin("e.pdf", limits(10)).is_ok());
}

#[tokio::test]
async fn two_hundred_pictures_at_once_are_let_in_a_few_at_a_time() {
    let (_dir, store) = store();
    let bytes = photo(300, 200);
    let all = (0..200).map(|_| {
        let (store, bytes) = (store.clone(), bytes.clone());
        async move {
            let mut sent = store.begin("a.jpg", limits(4 << 20)).unwrap();
            sent.write(&bytes).unwrap();
            store.settle(sent).await
        }
    });
    let tasks: Vec<_> = all.map(tokio::spawn).collect();
    for task in tasks {
        assert!(task.await.unwrap().is_ok());
    }
    assert_eq!(store.counts().taken, 200);
}
