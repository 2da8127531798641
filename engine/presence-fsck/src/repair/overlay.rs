//! A directory as it would be: the same files, some under other names, some not there.
//!
//! # Invariants
//! - Nothing is changed through it.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use presence::device::{Device, DeviceFile, Entry, LockError, LockGuard};

/// A device seen through other names.
#[derive(Debug, Clone)]
pub(crate) struct Overlay<'a> {
    device: &'a dyn Device,
    /// Names shown, and the names that the files have.
    names: BTreeMap<String, String>,
}

impl<'a> Overlay<'a> {
    /// The directory as it is.
    pub(crate) fn new(device: &'a dyn Device) -> io::Result<Self> {
        let names = device.list()?.into_iter().map(|entry| (entry.name.clone(), entry.name));
        Ok(Self { device, names: names.collect() })
    }

    /// A directory without files.
    pub(crate) fn empty(device: &'a dyn Device) -> Self {
        Self { device, names: BTreeMap::new() }
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// Shows the file `real` under the name `name`.
    pub(crate) fn show(&mut self, name: &str, real: &str) {
        self.names.insert(name.to_owned(), real.to_owned());
    }

    /// Shows the file `name` no more.
    pub(crate) fn hide(&mut self, name: &str) {
        self.names.remove(name);
    }

    /// Gives a file another name.
    pub(crate) fn move_to(&mut self, from: &str, to: &str) {
        if let Some(real) = self.names.remove(from) {
            self.names.insert(to.to_owned(), real);
        }
    }

    fn real(&self, name: &str) -> io::Result<&str> {
        let real = self.names.get(name).map(String::as_str);
        real.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn refused<T>() -> io::Result<T> {
    Err(io::ErrorKind::ReadOnlyFilesystem.into())
}

impl Device for Overlay<'_> {
    fn describe(&self) -> String {
        self.device.describe()
    }

    fn list(&self) -> io::Result<Vec<Entry>> {
        let entries = self.device.list()?.into_iter().map(|entry| (entry.name.clone(), entry));
        let entries: BTreeMap<String, Entry> = entries.collect();
        let shown = |(name, real): (&String, &String)| {
            entries.get(real).map(|entry| Entry { name: name.clone(), ..*entry })
        };
        Ok(self.names.iter().filter_map(shown).collect())
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DeviceFile>> {
        self.device.open(self.real(name)?)
    }

    fn open_writable(&self, _name: &str) -> io::Result<Arc<dyn DeviceFile>> {
        refused()
    }

    fn create(&self, _name: &str) -> io::Result<Arc<dyn DeviceFile>> {
        refused()
    }

    fn rename(&self, _from: &str, _to: &str) -> io::Result<()> {
        refused()
    }

    fn unlink(&self, _name: &str) -> io::Result<()> {
        refused()
    }

    fn sync_directory(&self) -> io::Result<()> {
        refused()
    }

    fn lock(&self, _owner: &str) -> Result<Box<dyn LockGuard>, LockError> {
        Err(LockError::Io(io::ErrorKind::ReadOnlyFilesystem.into()))
    }

    fn now_unix_us(&self) -> i64 {
        self.device.now_unix_us()
    }

    fn random(&self) -> io::Result<[u8; 16]> {
        self.device.random()
    }
}

#[cfg(test)]
mod tests {
    use presence::device::MemoryDevice;

    use super::*;

    #[test]
    fn nothing_is_changed_through_it() {
        let memory = MemoryDevice::with_files([("a", b"1".as_slice()), ("b", b"22")]);
        let mut overlay = Overlay::new(&memory).unwrap();
        overlay.move_to("a", "c");
        overlay.hide("b");
        let names: Vec<String> = overlay.list().unwrap().into_iter().map(|e| e.name).collect();
        assert_eq!(names, ["c"]);
        assert_eq!(overlay.open("c").unwrap().len().unwrap(), 1);
        assert!(overlay.open("a").is_err());
        let refused = |result: io::Result<()>| {
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::ReadOnlyFilesystem);
        };
        refused(overlay.open_writable("c").map(|_| ()));
        refused(overlay.create("d").map(|_| ()));
        refused(overlay.rename("c", "d"));
        refused(overlay.unlink("c"));
        refused(overlay.sync_directory());
        assert!(matches!(overlay.lock("me"), Err(LockError::Io(_))));
        assert!(overlay.now_unix_us() > 0);
        assert_ne!(overlay.random().unwrap(), overlay.random().unwrap());
        assert_eq!(memory.files().len(), 2);
    }
}
