//! The disk from inside the cache: what is written comes back, whatever happens in between.
#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::os::unix::fs::FileExt;

use bytes::Bytes;

use super::super::span::time;
use super::trouble::MOST_FAILURES;
use super::*;
use crate::config::DiskCache;

struct Bed {
    _folder: tempfile::TempDir,
    config: DiskCache,
}

impl Bed {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = DiskCache {
            path: folder.path().join("cache"),
            size: 1 << 30,
            max_files: 1000,
            min_object: 0,
            max_object: 1 << 20,
        };
        Self {
            _folder: folder,
            config,
        }
    }

    fn open(&self) -> Arc<Disk> {
        Disk::open(&self.config).unwrap()
    }

    /// Opened, and its folder looked through.
    fn opened(&self) -> Arc<Disk> {
        let disk = self.open();
        while !disk.index.is_complete() {
            thread_yield();
        }
        disk
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let folders = fs::read_dir(&self.config.path).unwrap().flatten();
        for folder in folders.filter(|folder| folder.file_name().len() == 3) {
            files.extend(fs::read_dir(folder.path()).unwrap().flatten().map(|file| file.path()));
        }
        files
    }
}

fn thread_yield() {
    std::thread::yield_now();
}

fn object(number: u64, variant: u64, body: &'static str) -> Object {
    Object {
        id: id(number),
        variant,
        head: format!("head of {number}").into_bytes(),
        body: Bytes::from_static(body.as_bytes()),
    }
}

fn id(number: u64) -> Id {
    Id::of(&number.to_be_bytes())
}

async fn bodies(disk: &Arc<Disk>, number: u64) -> Vec<Bytes> {
    let mut bodies = Vec::new();
    for loaded in disk.load(id(number)).await {
        assert_eq!(loaded.head, format!("head of {number}").into_bytes());
        bodies.push(loaded.body.read_whole().await.unwrap());
    }
    bodies.sort();
    bodies
}

#[tokio::test]
async fn what_was_written_is_found_now_and_by_the_next_process() {
    let bed = Bed::new();
    {
        let disk = bed.opened();
        for number in 0..20 {
            assert!(disk.write(object(number, 1, "one")).await.unwrap().is_some());
        }
        disk.write(object(7, 2, "two")).await.unwrap();
        disk.write(object(8, 1, "newer")).await.unwrap();
        assert_eq!(bodies(&disk, 7).await, ["one", "two"]);
        assert_eq!(bodies(&disk, 8).await, ["newer"]);
    }
    let disk = bed.opened();
    assert_eq!(
        (bodies(&disk, 7).await.len(), bodies(&disk, 8).await),
        (2, vec![Bytes::from("newer")])
    );
    assert!(bodies(&disk, 99).await.is_empty() && !disk.may_have(id(99)));
    let stats = disk.stats();
    assert_eq!((stats.objects, stats.bytes, stats.read_errors), (21, 21 * 4096, 0));
}

#[tokio::test]
async fn it_answers_before_the_folder_has_been_looked_through() {
    let bed = Bed::new();
    bed.opened().write(object(1, 1, "one")).await.unwrap();
    let disk = bed.open();
    assert!(disk.may_have(id(1)));
    assert_eq!(bodies(&disk, 1).await, ["one"]);
    // And what is removed by then stays removed.
    let disk = bed.open();
    disk.remove(id(1));
    assert!(bodies(&disk, 1).await.is_empty());
    while !disk.index.is_complete() {
        thread_yield();
    }
    assert!(bodies(&disk, 1).await.is_empty());
}

#[tokio::test]
async fn what_is_removed_while_it_is_written_is_not_kept() {
    let bed = Bed::new();
    let disk = bed.opened();
    for _ in 0..50 {
        let written = disk.write(object(1, 1, "one"));
        disk.remove(id(1));
        let _ = written.await;
        assert!(bodies(&disk, 1).await.is_empty());
    }
    disk.write(object(1, 1, "again")).await.unwrap();
    disk.remove_variant(id(1), 2);
    assert_eq!(bodies(&disk, 1).await, ["again"]);
    let judge = |head: &[u8]| match head {
        b"head of 1" => Fate::Remove,
        _ => Fate::Keep,
    };
    assert_eq!(disk.revise(judge), 1);
    assert!(bodies(&disk, 1).await.is_empty());
    assert_eq!((disk.stats().objects, disk.stats().bytes), (0, 0));
}

#[tokio::test]
async fn what_is_expired_is_stale_at_once_and_in_the_next_process() {
    let bed = Bed::new();
    let since = time(1_700_000_000);
    let expired = |disk: &Arc<Disk>, number: u64| {
        let disk = Arc::clone(disk);
        async move {
            let loaded = disk.load(id(number)).await;
            let mut marks: Vec<_> = loaded.iter().map(|loaded| loaded.expired).collect();
            marks.sort();
            marks
        }
    };
    {
        let disk = bed.opened();
        for (number, variant) in [(1, 1), (1, 2), (2, 1), (3, 1)] {
            disk.write(object(number, variant, "one")).await.unwrap();
        }
        assert_eq!(disk.expire(id(1), Which::Variant(2), since), 1);
        assert_eq!(disk.expire(id(9), Which::All, since), 0);
        let judge = |head: &[u8]| match head {
            b"head of 2" => Fate::Expire(since),
            _ => Fate::Keep,
        };
        assert_eq!((disk.revise(judge), disk.revise(judge)), (1, 0));
        assert_eq!(expired(&disk, 1).await, [None, Some(since)]);
        while !disk.pending.of(id(1)).is_empty() {
            thread_yield();
        }
    }
    // Before its folder has been looked through, too.
    let disk = bed.open();
    disk.expire(id(3), Which::All, since);
    assert_eq!(expired(&disk, 3).await, [Some(since)]);
    while !disk.pending.of(id(3)).is_empty() {
        thread_yield();
    }
    let disk = bed.opened();
    for (number, marks) in [(1, &[None, Some(since)][..]), (2, &[Some(since)]), (3, &[Some(since)])] {
        assert_eq!(expired(&disk, number).await, marks, "{number}");
    }
    disk.write(object(2, 1, "newer")).await.unwrap();
    assert_eq!(expired(&disk, 2).await, [None]);
    assert_eq!(disk.stats().objects, 4);
}

#[tokio::test]
async fn limits_of_bytes_and_of_files_are_kept() {
    let mut bed = Bed::new();
    bed.config.max_files = 10;
    let disk = bed.opened();
    for number in 0..50 {
        disk.write(object(number, 1, "x")).await.unwrap();
    }
    disk.on_pool(|| {}).await.unwrap();
    bed.config.size = 5 * 4096;
    disk.reconfigure(&bed.config);
    let mut rounds = 0;
    while (disk.stats().objects > 5 || bed.files().len() > 5) && rounds < 10_000 {
        rounds += 1;
        disk.on_pool(thread_yield).await.unwrap();
    }
    assert_eq!((disk.stats().objects, bed.files().len()), (5, 5));
    assert_eq!(disk.stats().evicted, 45);
}

#[tokio::test]
async fn damage_is_a_miss_and_half_written_files_are_swept() {
    let bed = Bed::new();
    {
        let disk = bed.opened();
        for number in 0..3 {
            disk.write(object(number, 1, "a body")).await.unwrap();
        }
        for path in bed.files() {
            let file = File::options().write(true).open(path).unwrap();
            let length = file.metadata().unwrap().len();
            // The last byte of the body, which the checksum of eight bytes follows.
            file.write_all_at(b"!", length - 9).unwrap();
        }
    }
    fs::write(bed.config.path.join(NEW).join("left"), "half").unwrap();
    fs::create_dir_all(bed.config.path.join("abc")).unwrap();
    fs::write(bed.config.path.join("abc").join("somebody else's"), "file").unwrap();
    let disk = bed.opened();
    for number in 0..3 {
        let loaded = disk.load(id(number)).await.pop().unwrap();
        assert_eq!(loaded.body.read_whole().await, Err(Damaged));
        assert!(!disk.may_have(id(number)));
    }
    assert_eq!((disk.stats().read_errors, bed.files().len()), (3, 1));
    assert_eq!(fs::read_dir(bed.config.path.join(NEW)).unwrap().count(), 0);
}

#[tokio::test]
async fn a_disk_that_fails_is_left_alone_for_a_while() {
    let bed = Bed::new();
    let disk = bed.opened();
    fs::remove_dir_all(&bed.config.path).unwrap();
    fs::write(&bed.config.path, "not a folder").unwrap();
    for number in 0..u64::from(MOST_FAILURES) {
        assert!(disk.write(object(number, 1, "x")).await.unwrap().is_none());
    }
    assert!(disk.write(object(1, 1, "x")).await.is_err(), "dropped");
    assert!(!disk.may_have(id(1)));
    let stats = disk.stats();
    assert_eq!(
        (stats.write_errors, stats.dropped, stats.objects),
        (u64::from(MOST_FAILURES), 1, 0)
    );
}

#[tokio::test]
async fn a_part_of_a_large_body_is_read_as_it_is_asked_for() {
    let bed = Bed::new();
    let disk = bed.opened();
    let whole: Bytes = (0..700_000_u32).map(|number| (number / 3) as u8).collect();
    let written = disk.write(Object {
        body: whole.clone(),
        ..object(1, 1, "")
    });
    let open = written.await.unwrap().unwrap();
    assert_eq!(open.read_whole().await.unwrap(), whole);
    for range in [0..1, 262_143..262_145, 100..600_000, 699_999..700_000, 5..5] {
        let mut blocks = open.clone().read(range.clone());
        let mut read = Vec::new();
        while let Some(block) = std::future::poll_fn(|cx| blocks.poll_next(cx)).await {
            read.extend_from_slice(&block.unwrap());
        }
        assert_eq!(read, whole[range.start as usize..range.end as usize]);
    }
    // Its name may go while it is read.
    disk.remove(id(1));
    assert_eq!(open.read_whole().await.unwrap(), whole);
}

fn large() -> Bytes {
    (0..900_000_u32).map(|number| (number / 3) as u8).collect()
}

#[tokio::test]
async fn what_is_written_while_it_arrives_is_read_meanwhile_and_afterwards() {
    let bed = Bed::new();
    let disk = bed.opened();
    let (told, progress) = std::sync::mpsc::channel();
    let head = b"a head of some length".to_vec();
    let growing = disk.grow(id(1), 1, head.len(), move |progress| told.send(progress).unwrap());
    let growing = growing.unwrap();
    let whole = large();
    let mut length = 0;
    for piece in whole.chunks(77_777) {
        growing.append(Bytes::copy_from_slice(piece));
        length += piece.len() as u64;
    }
    while progress.recv().unwrap() != Progress::Written(length) {}
    let written = growing.written();
    let read = written.read(100_000, 100_010).await.unwrap().unwrap();
    assert_eq!(read, whole[100_000..100_010]);
    let open = growing.finish(head.clone()).await.unwrap().unwrap();
    assert_eq!(open.read_whole().await.unwrap(), whole);
    let disk = bed.opened();
    let loaded = disk.load(id(1)).await.pop().unwrap();
    assert!(loaded.head.starts_with(&head) && loaded.head.len() == head.len() + 64);
    assert_eq!(loaded.body.read_whole().await.unwrap(), whole);
    assert_eq!(written.read(5, 6).await.unwrap().unwrap(), whole[5..6]);
}

#[tokio::test]
async fn what_is_given_up_or_removed_on_its_way_leaves_nothing() {
    let bed = Bed::new();
    let disk = bed.opened();
    let growing = disk.grow(id(1), 1, 0, |_| {}).unwrap();
    growing.append(large());
    drop(growing);
    let growing = disk.grow(id(2), 1, 0, |_| {}).unwrap();
    growing.append(large());
    disk.remove(id(2));
    assert!(growing.finish(Vec::new()).await.unwrap().is_none());
    let left = || fs::read_dir(bed.config.path.join(NEW)).unwrap().count();
    while left() > 0 {
        thread_yield();
    }
    assert_eq!((disk.stats().objects, bed.files().len()), (0, 0));
}

#[tokio::test]
async fn a_head_is_changed_under_its_body() {
    let bed = Bed::new();
    let disk = bed.opened();
    let written = disk.write(Object {
        body: large(),
        ..object(1, 1, "")
    });
    let open = written.await.unwrap().unwrap();
    disk.rewrite(
        &open,
        Object {
            head: b"another head".to_vec(),
            ..object(1, 1, "")
        },
    );
    while disk.stats().written < 2 {
        thread_yield();
    }
    let loaded = disk.load(id(1)).await.pop().unwrap();
    assert!(loaded.head.starts_with(b"another head"));
    assert_eq!(loaded.body.read_whole().await.unwrap(), large());
}
