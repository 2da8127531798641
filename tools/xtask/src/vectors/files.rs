//! Vectors and twins on disk, and the list of their SHA-256 sums.

use std::fmt::Write as _;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::{Vector, twin_text};
use crate::Result;

/// The list of sums, in the format of `sha256sum`.
const SUMS: &str = "SHA256SUMS";

/// What to do with a file that is missing or differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    WriteMissing,
    Overwrite,
    Verify,
}

/// Brings `folder` and `vectors` together as `mode` says.
pub(crate) fn run(folder: &Path, vectors: &[Vector], mode: Mode) -> Result<()> {
    let mut sums = String::new();
    for vector in vectors {
        let name = format!("{}.presence", vector.name);
        let bytes = segment(folder, &name, vector, mode)?;
        let twin_name = format!("{}.json", vector.name);
        let twin = twin_text(vector, &bytes)?;
        place(folder, &twin_name, twin.as_bytes(), mode)?;
        for (name, bytes) in [(twin_name, twin.as_bytes()), (name, bytes.as_slice())] {
            writeln!(sums, "{}  {name}", hex(&Sha256::digest(bytes)))
                .map_err(|error| error.to_string())?;
        }
    }
    // New vectors add lines; a line that changes is refused with the file that it is of.
    let sums_mode = if mode == Mode::Verify { mode } else { Mode::Overwrite };
    place(folder, SUMS, sums.as_bytes(), sums_mode)?;
    refuse_strangers(folder, vectors)?;
    println!("vectors: {} segments with their twins", vectors.len());
    Ok(())
}

/// The segment that is to be on disk: the one generated, or the one already there where it is an
/// older encoder's and right as well.
fn segment(folder: &Path, name: &str, vector: &Vector, mode: Mode) -> Result<Vec<u8>> {
    if vector.encoder_chooses
        && mode != Mode::Overwrite
        && let Some(stored) = read(&folder.join(name))?
        && stored != vector.bytes
    {
        println!("vectors: note: the encoder now packs {name} otherwise; it is kept as it was");
        return Ok(stored);
    }
    place(folder, name, &vector.bytes, mode)?;
    Ok(vector.bytes.clone())
}

/// Compares the file with `bytes`, and writes it where `mode` allows.
fn place(folder: &Path, name: &str, bytes: &[u8], mode: Mode) -> Result<()> {
    let path = folder.join(name);
    let stored = read(&path)?;
    match (stored, mode) {
        (Some(stored), _) if stored == bytes => return Ok(()),
        (Some(stored), Mode::Verify | Mode::WriteMissing) => {
            let at = stored.iter().zip(bytes).take_while(|(left, right)| left == right).count();
            return Err(format!(
                "{name} differs from what is generated, first at byte {at}: if its bytes were \
                 never released, `cargo xtask vectors --overwrite` replaces it"
            ));
        }
        (None, Mode::Verify) => {
            return Err(format!("{name} is missing: `cargo xtask vectors` writes it"));
        }
        (Some(_), Mode::Overwrite) | (None, _) => {}
    }
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&path, bytes))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    println!("vectors: wrote {name}, {} bytes", bytes.len());
    Ok(())
}

fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

/// A file that no vector makes would never be verified.
fn refuse_strangers(folder: &Path, vectors: &[Vector]) -> Result<()> {
    let fault = |error| format!("{}: {error}", folder.display());
    for file in std::fs::read_dir(folder).map_err(fault)? {
        let name = file.map_err(fault)?.file_name().to_string_lossy().into_owned();
        let stem = name.strip_suffix(".presence").or_else(|| name.strip_suffix(".json"));
        let known = stem.is_some_and(|stem| vectors.iter().any(|vector| vector.name == stem));
        if !known && name != SUMS {
            return Err(format!("{name} is no vector: generate it, or remove it"));
        }
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(bytes: &[u8], encoder_chooses: bool) -> Vector {
        let bytes = bytes.to_vec();
        Vector { name: "one", about: "", bytes, answers: Vec::new(), encoder_chooses }
    }

    #[test]
    fn what_is_there_is_kept_and_named() {
        let folder = std::env::temp_dir().join(format!("vectors-{}", std::process::id()));
        let place = |bytes: &[u8], mode| place(&folder, "one.json", bytes, mode);
        assert!(place(b"a", Mode::Verify).unwrap_err().contains("one.json is missing"));
        place(b"a", Mode::WriteMissing).unwrap();
        place(b"a", Mode::Verify).unwrap();
        for mode in [Mode::Verify, Mode::WriteMissing] {
            let error = place(b"b", mode).unwrap_err();
            assert!(error.contains("one.json differs from what is generated"), "{error}");
        }
        assert_eq!(std::fs::read(folder.join("one.json")).unwrap(), b"a");
        place(b"b", Mode::Overwrite).unwrap();
        assert!(refuse_strangers(&folder, &[]).unwrap_err().contains("one.json is no vector"));
        refuse_strangers(&folder, &[vector(b"", false)]).unwrap();
        let free = vector(b"new", true);
        assert_eq!(segment(&folder, "one.json", &free, Mode::Verify).unwrap(), b"b");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
