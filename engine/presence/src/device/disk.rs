//! What a simulated medium holds, and the single effects that change it.
//!
//! # Invariants
//! - A file has at most one name, whichever effects are applied and left out.
//! - An effect on a file that the medium does not know does nothing.

use std::collections::BTreeMap;

use super::content::Content;
use super::memory::{FileId, Image};
use crate::shim::Arc;

/// One thing that a call does to a medium.
#[derive(Clone)]
pub(super) enum Effect {
    Data { file: FileId, offset: u64, data: Arc<[u8]>, from: usize, to: usize },
    Size { file: FileId, len: u64 },
    Create { name: Arc<str>, file: FileId },
    Rename { to: Arc<str>, file: FileId },
    Unlink { name: Arc<str>, file: FileId },
}

impl Effect {
    /// The file whose content or length this is; `None` for names.
    pub(super) fn content_of(&self) -> Option<FileId> {
        match self {
            Self::Data { file, .. } | Self::Size { file, .. } => Some(*file),
            Self::Create { .. } | Self::Rename { .. } | Self::Unlink { .. } => None,
        }
    }
}

/// What a medium holds. `files` is sorted by id; a file may have no name (yet, or any more).
#[derive(Clone)]
pub(super) struct Disk {
    pub(super) names: BTreeMap<Arc<str>, FileId>,
    pub(super) files: Vec<(FileId, Content)>,
}

impl Disk {
    pub(super) fn new(image: Image) -> Self {
        let mut disk = Self { names: BTreeMap::new(), files: Vec::new() };
        for (name, (id, content)) in image {
            disk.names.insert(name, id);
            disk.files.push((id, content));
        }
        disk.files.sort_by_key(|(id, _)| *id);
        disk
    }

    fn content(&mut self, file: FileId) -> Option<&mut Content> {
        let index = self.files.binary_search_by_key(&file, |(id, _)| *id).ok()?;
        self.files.get_mut(index).map(|(_, content)| content)
    }

    pub(super) fn apply(&mut self, effect: &Effect) {
        match effect {
            Effect::Data { file, offset, data, from, to } => {
                let data = data.get(*from..*to).unwrap_or_default();
                if let Some(content) = self.content(*file) {
                    content.write(*offset + *from as u64, data);
                }
            }
            Effect::Size { file, len } => {
                if let Some(content) = self.content(*file) {
                    content.grow(*len);
                }
            }
            Effect::Create { name, file } => {
                self.names.insert(Arc::clone(name), *file);
            }
            Effect::Rename { to, file } => {
                self.names.retain(|_, id| id != file);
                self.names.insert(Arc::clone(to), *file);
            }
            Effect::Unlink { name, file } => {
                if self.names.get(name) == Some(file) {
                    self.names.remove(name);
                }
            }
        }
    }

    pub(super) fn into_image(mut self) -> Image {
        let names = std::mem::take(&mut self.names);
        let named = names.into_iter().map(|(name, id)| {
            let content = self.content(id).map(std::mem::take).unwrap_or_default();
            (name, (id, content))
        });
        named.collect()
    }
}
