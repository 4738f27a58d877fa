//! Folders over both kinds of REST (0G wire, 3.5 and 4.4).

use std::sync::Arc;

use lode_proofs::CHUNK_LEN;
use lode_wire::folder::{Folder, Node as Entry};
use serde_json::json;

use crate::{blob::Blob, stack::Stack};

fn file(name: &str, blobs: &[&Arc<Blob>]) -> Entry {
    Entry::File {
        name: name.to_owned(),
        roots: blobs.iter().map(|blob| blob.root).collect(),
        size: blobs.iter().map(|blob| blob.shape.size()).sum(),
    }
}

/// A folder with all kinds of entries, its files on the nodes.
async fn stack() -> (Stack, Arc<Blob>, Arc<Blob>) {
    let stack = Stack::of(&[(0, 2), (1, 2)]).await;
    let one = stack.keep(Blob::of(CHUNK_LEN + 5, 1), 1, 1024);
    let two = stack.keep(Blob::of(CHUNK_LEN * 2, 2), 2, 4096);
    let inner = Entry::Directory {
        name: "inner".to_owned(),
        entries: vec![file("both.bin", &[&one, &two])],
    };
    let link = Entry::Symbolic {
        name: "link".to_owned(),
        link: "inner/both.bin".to_owned(),
    };
    let entries = vec![file("a b.txt", &[&one]), file("empty", &[]), inner, link];
    let folder = Folder::new(entries).unwrap().encode().unwrap();
    stack.keep(Blob::new(folder.into()), 3, 8192);
    (stack, one, two)
}

/// `GET /file/{cid}/{path…}`: a list of a directory, at the folder's root and below.
#[tokio::test(flavor = "multi_thread")]
async fn get_file_in_folder_lists_directories() {
    let (stack, one, two) = stack().await;
    let size = one.shape.size();
    let want = json!([
        {"name": "a b.txt", "type": "file", "size": size},
        {"name": "empty", "type": "file"},
        {"name": "inner", "type": "directory"},
        {"name": "link", "type": "symbolic"},
    ]);
    for path in ["/file/3", "/file/3/", "/file/3/inner/..", "/file/3/."] {
        assert_eq!(stack.data(path).await, want, "{path}");
    }
    let inner = stack.data("/file/3/inner").await;
    let both = size + two.shape.size();
    assert_eq!(
        inner,
        json!([{"name": "both.bin", "type": "file", "size": both}])
    );
    let native = stack.get("/v1/folders/3/").await;
    assert_eq!(native.json::<serde_json::Value>().await.unwrap(), want);
}

/// A file in a folder, under its name; a link as itself.
#[tokio::test(flavor = "multi_thread")]
async fn get_file_in_folder_serves_files_and_links() {
    let (stack, one, _) = stack().await;
    let response = stack.get("/file/3/a%20b.txt").await;
    let name = response.headers()["content-disposition"].to_str().unwrap();
    assert!(name.contains("filename=\"a b.txt\""), "{name}");
    assert_eq!(response.bytes().await.unwrap(), one.bytes);
    let want = json!({"name": "link", "type": "symbolic", "link": "inner/both.bin"});
    assert_eq!(stack.data("/file/3/link").await, want);
    assert!(stack.bytes("/file/3/empty").await.is_empty());
}

/// A file of several blobs is one run of bytes, in ranges too.
#[tokio::test(flavor = "multi_thread")]
async fn files_of_several_blobs() {
    let (stack, one, two) = stack().await;
    let whole = [&*one.bytes, &*two.bytes].concat();
    for path in ["/file/3/inner/both.bin", "/v1/folders/3/inner/both.bin"] {
        assert!(stack.bytes(path).await == whole);
        for (first, last) in [
            (0, 0),
            (CHUNK_LEN, CHUNK_LEN + 9),
            (CHUNK_LEN + 5, 3 * CHUNK_LEN),
        ] {
            let part = stack.range(path, &format!("bytes={first}-{last}")).await;
            assert_eq!(part.status(), 206);
            assert!(
                part.bytes().await.unwrap() == whole[first..=last],
                "{first}-{last}"
            );
        }
    }
}

/// Code 104: the folder has no such path.
#[tokio::test(flavor = "multi_thread")]
async fn code_104_file_path_not_found() {
    let (stack, _, _) = stack().await;
    for path in ["nothing", "inner/nothing", "a%20b.txt/x", "link/x"] {
        let (status, said) = stack.said(&format!("/file/3/{path}")).await;
        assert_eq!((status, said["code"].as_u64()), (200, Some(104)), "{path}");
        assert_eq!(said["message"], "File path not found");
        assert_eq!(
            stack.get(&format!("/v1/folders/3/{path}")).await.status(),
            404
        );
    }
}

/// What is no folder is an error, as with 0G's gateway; ours says which.
#[tokio::test(flavor = "multi_thread")]
async fn not_a_folder() {
    let (stack, _, _) = stack().await;
    assert_eq!(stack.said("/file/1/a").await.0, 600);
    let response = stack.get("/v1/folders/1/a").await;
    assert_eq!(response.status(), 422);
    assert_eq!(
        response.json::<serde_json::Value>().await.unwrap()["code"],
        "LODE1014"
    );
}
