//! Locks, forks and permissions, on real directories: one case a line of [`CASES`].

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use presence::{Database, Error, Level};

use crate::power::is_root;
use crate::support::{Kind, check_stream, figure, rerun, skipped, small};

/// Set for the child: the directory, and what it does there.
const CHILD_DIRECTORY: &str = "PRESENCE_TEST_LOCKS_DIRECTORY";
const CHILD_TASK: &str = "PRESENCE_TEST_LOCKS_TASK";
/// Somebody without any rights of their own.
const NOBODY: u32 = 65_534;

/// What a case is, and the case.
type Case = (&'static str, fn(&Place));

const CASES: [Case; 26] = [
    ("a second writer in the same thread", |place| {
        let _db = place.open().unwrap();
        locked(place.open(), std::process::id());
    }),
    ("a second writer in another thread", |place| {
        let _db = place.open().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| locked(place.open(), std::process::id())).join().unwrap();
        });
    }),
    ("a second writer by another path", |place| {
        let _db = place.open().unwrap();
        let other = place.path.join("..").join("db").join(".");
        locked(Database::open(other, small()), std::process::id());
    }),
    ("a second writer by a link to the directory", |place| {
        let _db = place.open().unwrap();
        symlink(&place.path, place.beside("link")).unwrap();
        locked(Database::open(place.beside("link"), small()), std::process::id());
    }),
    ("making a database over an open one", |place| {
        let _db = place.open().unwrap();
        locked(Database::create(&place.path, small()), std::process::id());
        locked(Database::open_or_create(&place.path, small()), std::process::id());
    }),
    ("a second writer in another process", |place| {
        let holder = Holder::start(place, "hold");
        locked(place.open(), holder.0.id());
    }),
    ("a second process beside this one", |place| {
        let _db = place.open().unwrap();
        assert!(place.child("open").contains("locked"));
    }),
    ("readers beside a writer", |place| {
        let _holder = Holder::start(place, "hold");
        place.holds(3);
    }),
    ("a holder that is killed", |place| {
        let mut holder = Holder::start(place, "hold");
        holder.0.kill().unwrap();
        holder.0.wait().unwrap();
        place.open().unwrap();
    }),
    ("a holder that ends without closing", |place| {
        let mut holder = Holder::start(place, "hold");
        drop(holder.0.stdin.take());
        holder.0.wait().unwrap();
        place.open().unwrap();
    }),
    ("a holder that is stopped holds on", |place| {
        let holder = Holder::start(place, "hold");
        let signal = |name: &str| {
            let line = format!("kill {name} {}", holder.0.id());
            let status = Command::new("/bin/sh").args(["-c", &line]).status();
            assert!(status.unwrap().success());
        };
        signal("-STOP");
        locked(place.open(), holder.0.id());
        signal("-CONT");
    }),
    ("a lock left behind, of a process that is no more", |place| {
        std::fs::write(place.lock(), "process 4194303").unwrap();
        place.open().unwrap();
    }),
    ("a lock left behind, of this very process", |place| {
        std::fs::write(place.lock(), format!("process {}", std::process::id())).unwrap();
        place.open().unwrap();
    }),
    ("a lock file that is not there", |place| {
        std::fs::remove_file(place.lock()).unwrap();
        place.open().unwrap();
    }),
    ("a lock file full of garbage", |place| {
        std::fs::write(place.lock(), vec![0xff; 100_000]).unwrap();
        let _db = place.open().unwrap();
        locked(place.open(), std::process::id());
    }),
    ("a link in place of the lock", |place| {
        std::fs::remove_file(place.lock()).unwrap();
        std::fs::write(place.beside("theirs"), "theirs").unwrap();
        symlink(place.beside("theirs"), place.lock()).unwrap();
        refused(place.open());
        assert_eq!(std::fs::read(place.beside("theirs")).unwrap(), b"theirs");
    }),
    ("a hard link in place of the lock", |place| {
        std::fs::remove_file(place.lock()).unwrap();
        std::fs::write(place.beside("theirs"), "theirs").unwrap();
        std::fs::hard_link(place.beside("theirs"), place.lock()).unwrap();
        refused(place.open());
        assert_eq!(std::fs::read(place.beside("theirs")).unwrap(), b"theirs");
    }),
    ("a directory in place of the lock", |place| {
        std::fs::remove_file(place.lock()).unwrap();
        std::fs::create_dir(place.lock()).unwrap();
        refused(place.open());
    }),
    ("a pipe in place of the lock", |place| {
        std::fs::remove_file(place.lock()).unwrap();
        assert!(Command::new("mkfifo").arg(place.lock()).status().unwrap().success());
        refused(place.open());
    }),
    ("a fork of an open handle", |place| {
        assert!(place.child("fork").contains("refused"));
        // What the parent appended after the fork is there.
        place.holds(4);
    }),
    ("a fork does not keep the lock of a closed parent", |place| {
        assert!(place.child("fork and close").contains("free"));
    }),
    ("a directory without the right to write", |place| {
        place.mode("", 0o500);
        // Opening writes nothing; the first record needs a new segment.
        place.as_nobody("write", "io");
        place.as_nobody("read", "read");
        place.mode("", 0o700);
    }),
    ("a directory without the right to read", |place| {
        place.mode("", 0o300);
        place.as_nobody("read", "io");
        place.mode("", 0o700);
    }),
    ("segments without the right to read", |place| {
        place.segments().iter().for_each(|name| place.mode(name, 0o000));
        place.as_nobody("read", "io");
        place.segments().iter().for_each(|name| place.mode(name, 0o600));
    }),
    ("a lock without the right to write", |place| {
        place.mode("LOCK", 0o400);
        place.as_nobody("open", "io");
        place.as_nobody("read", "read");
        place.mode("LOCK", 0o600);
    }),
    ("a process whose umask is 000", |place| {
        std::fs::remove_dir_all(&place.path).unwrap();
        let mut shell = place.command("make");
        let child = shell.get_program().to_owned();
        let arguments: Vec<_> = shell.get_args().map(ToOwned::to_owned).collect();
        shell = place.tasked(Command::new("/bin/sh"), "make");
        shell.args(["-c", "umask 000; exec \"$0\" \"$@\""]).arg(child).args(arguments);
        assert!(shell.output().unwrap().status.success());
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&place.path), 0o700);
        for name in place.segments().into_iter().chain(["LOCK".to_owned()]) {
            assert_eq!(mode(&place.path.join(&name)), 0o600, "{name}");
        }
    }),
];

/// A directory with a database of three records.
struct Place {
    directory: tempfile::TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db");
        make(&path);
        // Others must come as far as the database itself.
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(directory.path(), open).unwrap();
        Self { directory, path }
    }

    fn open(&self) -> Result<Database, Error> {
        Database::open(&self.path, small())
    }

    fn lock(&self) -> PathBuf {
        self.path.join("LOCK")
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn mode(&self, name: &str, mode: u32) {
        let path = if name.is_empty() { self.path.clone() } else { self.path.join(name) };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn segments(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.path).unwrap().flatten();
        let names = entries.map(|entry| entry.file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("seg-")).collect()
    }

    fn holds(&self, count: u64) {
        let db = Database::open_read_only(&self.path, small()).unwrap();
        let found = check_stream(&db.stream(Kind::Float.name()).unwrap(), true).unwrap();
        assert_eq!((found.first, found.end), (0, count));
    }

    fn tasked(&self, mut command: Command, task: &str) -> Command {
        command.env(CHILD_DIRECTORY, &self.path).env(CHILD_TASK, task);
        command
    }

    fn command(&self, task: &str) -> Command {
        self.tasked(rerun("locks::child_with_a_task"), task)
    }

    /// What another process says that does `task` here.
    fn child(&self, task: &str) -> String {
        let output = self.command(task).stdin(Stdio::null()).output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{task}: {words}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Does `task` as somebody who owns the database and nothing else.
    fn as_nobody(&self, task: &str, want: &str) {
        use std::os::unix::process::CommandExt;
        if !is_root() {
            // Permissions bind whoever is not root: this process itself.
            let said = self.child(task);
            return assert!(said.contains(&format!("<{want}>")), "{task}: {said}");
        }
        let own = |path: &Path| std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        own(&self.path);
        for entry in std::fs::read_dir(&self.path).unwrap().flatten() {
            own(&entry.path());
        }
        // Where this program lies, nobody may be able to look: they run a copy.
        let copy = self.beside("child");
        let command = self.command(task);
        if !copy.exists() {
            std::fs::copy(command.get_program(), &copy).unwrap();
        }
        let mut copied = self.tasked(Command::new(&copy), task);
        copied.args(command.get_args()).uid(NOBODY).gid(NOBODY).current_dir("/");
        let output = copied.stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(&format!("<{want}>")), "{task}: {said}{words}");
    }
}

/// Makes a database with three records of a float stream in `path`.
fn make(path: &Path) {
    let db = Database::create(path, small()).unwrap();
    let kind = Kind::Float;
    let stream = db.create_stream(kind.name(), kind.schema()).unwrap();
    let mut writer = stream.column_writer().unwrap();
    writer.append_columns(&kind.truth().times[..3], &kind.truth().slices(0..3)).unwrap();
    drop((writer, stream));
    db.close().unwrap();
}

fn locked(result: Result<Database, Error>, holder: u32) {
    match result {
        Err(error @ Error::Locked { .. }) => {
            assert!(error.to_string().contains(&format!("process {holder}")), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

fn refused(result: Result<Database, Error>) {
    assert!(matches!(result, Err(Error::Io { .. })), "{result:?}");
}

/// A process that holds the lock until its input ends, or it is killed.
struct Holder(Child);

impl Holder {
    fn start(place: &Place, task: &str) -> Self {
        let mut command = place.command(task);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut holder = Self(child);
        let owner = format!("process {}", holder.0.id());
        while std::fs::read_to_string(place.lock()).unwrap_or_default() != owner {
            assert!(holder.0.try_wait().unwrap().is_none(), "the holder ended early");
            std::thread::sleep(Duration::from_millis(1));
        }
        holder
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Not a test by itself: does what it is told, and says how that ended.
#[test]
fn child_with_a_task() {
    let Ok(directory) = std::env::var(CHILD_DIRECTORY) else { return };
    let path = Path::new(&directory);
    let word = |error: &Error| match error {
        Error::Locked { .. } => "locked",
        Error::Io { .. } => "io",
        _ => "another error",
    };
    let say = |word: &str| println!("\n<{word}>");
    match std::env::var(CHILD_TASK).unwrap().as_str() {
        "make" => make(path),
        "open" => match Database::open(path, small()) {
            Ok(_) => say("opened"),
            Err(error) => say(word(&error)),
        },
        "write" => match write(path) {
            Ok(()) => say("written"),
            Err(error) => say(word(&error)),
        },
        "read" => match Database::open_read_only(path, small()) {
            Ok(db) => {
                check_stream(&db.streams()[0], true).unwrap();
                say("read");
            }
            Err(error) => say(word(&error)),
        },
        "hold" => {
            let _db = Database::open(path, small()).unwrap();
            std::io::stdin().read_line(&mut String::new()).unwrap();
            std::process::exit(0);
        }
        "fork" => fork_and_use(path),
        _ => fork_and_close(path),
    }
}

/// Appends a record, durably.
fn write(path: &Path) -> Result<(), Error> {
    let db = Database::open(path, small())?;
    let kind = Kind::Float;
    let mut writer = db.stream(kind.name())?.column_writer()?;
    writer.append(kind.truth().times[3], &kind.truth().slices(3..4))?;
    db.flush(Level::Disk).map(|_| ())
}

/// Uses an open database in a child that was forked from this process.
fn fork_and_use(path: &Path) {
    let db = Database::open(path, small()).unwrap();
    let kind = Kind::Float;
    let stream = db.stream(kind.name()).unwrap();
    let mut writer = stream.column_writer().unwrap();
    match fork::fork().unwrap() {
        fork::Fork::Child => {
            let flushed = db.flush(Level::Disk);
            let closed = db.clone().close();
            let both = [flushed.map(|_| ()), closed];
            let refused = both.iter().all(|done| matches!(done, Err(Error::Forked { .. })));
            drop((writer, stream, db));
            println!("\n<{}>", if refused { "refused" } else { "allowed" });
            std::process::exit(0);
        }
        fork::Fork::Parent(child) => {
            fork::waitpid(child).unwrap();
            // The child's end took no lock from this process.
            locked(Database::open(path, small()), std::process::id());
            writer.append(kind.truth().times[3], &kind.truth().slices(3..4)).unwrap();
            drop((writer, stream));
            db.close().unwrap();
        }
    }
}

/// Closes the database while a child, forked with it, lives on.
fn fork_and_close(path: &Path) {
    let db = Database::open(path, small()).unwrap();
    match fork::fork().unwrap() {
        fork::Fork::Child => {
            // Lives until the parent is through.
            while path.join("LOCK").exists() && !path.join("../through").exists() {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::process::exit(0);
        }
        fork::Fork::Parent(child) => {
            db.close().unwrap();
            let again = Database::open(path, small());
            println!("\n<{}>", if again.is_ok() { "free" } else { "held" });
            std::fs::write(path.join("../through"), "").unwrap();
            fork::waitpid(child).unwrap();
        }
    }
}

#[test]
fn every_case_of_locks_forks_and_permissions() {
    for (name, case) in CASES {
        println!("{name}");
        let place = Place::new();
        case(&place);
        // Without what was put in place of the lock, it opens.
        if std::fs::remove_file(place.lock()).is_err() {
            std::fs::remove_dir(place.lock()).unwrap_or_default();
        }
        place.open().unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    figure("lock cases", CASES.len() as u64);
    if !is_root() {
        skipped("permissions of another user: this is not root");
    }
}
