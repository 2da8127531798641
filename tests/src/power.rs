//! Real power cuts: a file system on a loop device is shut down under a writer, without a flush of
//! its journal, and mounted again; what reached this process as synced must be there.
//!
//! Needs root, loop devices and `mkfs`; the shutdown is an ioctl, made by `xfs_io` or Perl.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use presence::Level;

use crate::acks::{Writer, check_left};
use crate::support::{Random, figure, seeds, shell_line, skipped};

/// Small enough to make in a moment; XFS refuses less than 300 MiB. Little of it is written.
const IMAGE_BYTES: u64 = 320 << 20;

/// Runs a command; what it said where it failed.
fn sh(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

/// A file system in a file; everything of it goes away with the value, also in a panic.
struct Disk {
    directory: tempfile::TempDir,
    /// The loop device, until it is given back.
    device: String,
}

impl Disk {
    fn new(kind: &str) -> Result<Self, String> {
        let directory = tempfile::tempdir().unwrap();
        let image = directory.path().join("image");
        let file = std::fs::File::create(&image).unwrap();
        file.set_len(IMAGE_BYTES).unwrap();
        std::fs::create_dir(directory.path().join("mounted")).unwrap();
        let device = sh("losetup", &["--find", "--show", image.to_str().unwrap()])?;
        let disk = Self { directory, device };
        match kind {
            "ext4" => sh("mkfs.ext4", &["-q", "-F", &disk.device])?,
            _ => sh("mkfs.xfs", &["-q", "-f", &disk.device])?,
        };
        disk.mount()?;
        Ok(disk)
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("mounted")
    }

    fn mount(&self) -> Result<String, String> {
        sh("mount", &[&self.device, self.path().to_str().unwrap()])
    }

    /// Cuts the power: nothing that is not on the medium now will ever be. `flush` lets the journal
    /// out before, as a lucky moment would.
    fn cut(&self, flush: bool) -> Result<String, String> {
        let path = self.path();
        let path = path.to_str().unwrap();
        let shutdown = if flush { "shutdown -f" } else { "shutdown" };
        sh("xfs_io", &["-x", "-c", shutdown, path]).or_else(|_| {
            // _IOR('X', 125, u32), with 1 for a flush of the journal and 2 for none.
            let script = "open(my $d, '<', $ARGV[0]) or die $!; my $how = pack('L', $ARGV[1]); \
                          ioctl($d, 0x8004587d, $how) or die $!";
            sh("perl", &["-e", script, path, if flush { "1" } else { "2" }])
        })
    }

    fn mount_again(&self) -> Result<String, String> {
        sh("umount", &[self.path().to_str().unwrap()])?;
        self.mount()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ended = sh("umount", &["-l", self.path().to_str().unwrap()]);
        let _given_back = sh("losetup", &["-d", &self.device]);
    }
}

/// One cut under a writer. Returns how many records had been synced by then.
fn cut_once(disk: &Disk, seed: u64) -> Result<u64, String> {
    let mut random = Random(seed * 7919);
    let path = disk.path().join(format!("db{}", seed / 5));
    let writer = Writer::start(&path, seed, Level::Disk);
    writer.wait_for(1 + random.below(60))?;
    std::thread::sleep(Duration::from_micros(random.below(4000)));
    // What is acknowledged while the power fails reaches nobody: there is no process to tell it,
    // and a file system that is being shut down may still say yes to a sync.
    let told = writer.heard();
    disk.cut(seed.is_multiple_of(4))?;
    // Every call fails from now on: the writer tells so, and ends.
    writer.end()?;
    disk.mount_again()?;
    check_left(&path, &told)?;
    Ok(told.counts.iter().sum())
}

fn cuts(kind: &str, test: &str) {
    if !is_root() {
        return skipped(&format!("power cuts on {kind}: this is not root"));
    }
    let disk = match Disk::new(kind) {
        Ok(disk) => disk,
        Err(why) => return skipped(&format!("power cuts on {kind}: {why}")),
    };
    if let Err(why) = disk.cut(false).and_then(|_| disk.mount_again()) {
        return skipped(&format!("power cuts on {kind}: {why}"));
    }
    let (mut cuts, mut synced) = (0, 0);
    for seed in seeds(30) {
        let cut = cut_once(&disk, seed);
        let replay = shell_line(test, seed);
        synced += cut.unwrap_or_else(|what| panic!("seed={seed}: {what}\nreplay: {replay}"));
        cuts += 1;
    }
    figure(&format!("power cuts {kind}"), cuts);
    println!("{cuts} power cuts on {kind}, {synced} records synced before them");
}

/// Whether this process may do everything.
pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    Path::new("/proc/self").metadata().is_ok_and(|own| own.uid() == 0)
}

#[test]
fn power_is_cut_on_ext4() {
    cuts("ext4", "power::power_is_cut_on_ext4");
}

#[test]
fn power_is_cut_on_xfs() {
    cuts("xfs", "power::power_is_cut_on_xfs");
}
