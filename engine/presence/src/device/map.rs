//! Maps a sealed file into memory. The one file of this folder with unsafe code.
//!
//! # Invariants
//! - The length is checked against the file before it is mapped: no page of a map lies wholly
//!   beyond the end of its file.
//! - Only regular files are mapped.
//! - Under miri, which has no file-backed maps, the bytes are read into a buffer instead.
#![cfg_attr(not(miri), expect(unsafe_code, reason = "a map of a file cannot be made without"))]

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{FileType, fstat};

use super::{AlignedBuf, Mapping};

/// The first `len` bytes of a file that nobody changes any more.
///
/// # Errors
/// `UnexpectedEof` where the file is shorter than `len`; `InvalidData` where it is no regular file.
pub(super) fn map_file(file: &OwnedFd, len: usize) -> io::Result<Mapping> {
    let stat = fstat(file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a regular file"));
    }
    // usize is at most 64 bits wide, so the cast loses nothing.
    if u64::try_from(stat.st_size).unwrap_or(0) < len as u64 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if len == 0 {
        return Ok(Mapping::copied(AlignedBuf::zeroed(0)?));
    }
    map_checked(file, len)
}

#[cfg(not(miri))]
fn map_checked(file: &OwnedFd, len: usize) -> io::Result<Mapping> {
    // SAFETY: the map is read-only and hands out `&[u8]` for as long as it lives, so the bytes
    // must neither change nor go away meanwhile.
    // - No code of ours changes them: `DeviceFile::map` is for sealed files, a published byte is
    //   never overwritten, no verb of a device shortens a file, and a removed file keeps its
    //   bytes until the last map of it is gone.
    // - They are all there: `len` is above zero and at most the length `fstat` just told.
    // - That no other program changes or cuts a file of an open database is an assumption, stated
    //   to users together with the mode that maps nothing. Were it broken, a read could see other
    //   bytes than were checked, or the process could get SIGBUS; no pointer, length or enum of
    //   ours is ever stored in mapped bytes and used unchecked.
    // - The descriptor is open for the length of the call; a map needs it no longer than that.
    let map = unsafe { memmap2::MmapOptions::new().len(len).map(file)? };
    Ok(Mapping(Box::new(map)))
}

#[cfg(not(miri))]
impl super::Mapped for memmap2::Mmap {
    fn will_need(&self, range: std::ops::Range<usize>) {
        // Advice may be refused: then the bytes are read when they are looked at.
        let _advised = self.advise_range(memmap2::Advice::WillNeed, range.start, range.len());
    }
}

#[cfg(miri)]
fn map_checked(file: &OwnedFd, len: usize) -> io::Result<Mapping> {
    let mut buf = AlignedBuf::zeroed(len)?;
    let mut filled = 0;
    while let Some(rest) = buf.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match rustix::io::pread(file, rest, filled as u64)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => filled += count,
        }
    }
    Ok(Mapping::copied(buf))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "system calls")]
    fn length_and_kind_are_checked_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, [7; 5000]).unwrap();
        let file = OwnedFd::from(std::fs::File::open(&path).unwrap());
        assert_eq!(&*map_file(&file, 4999).unwrap(), [7; 4999]);
        assert_eq!(map_file(&file, 0).unwrap().len(), 0);
        assert_eq!(map_file(&file, 5001).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let folder = OwnedFd::from(std::fs::File::open(dir.path()).unwrap());
        assert_eq!(map_file(&folder, 0).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
