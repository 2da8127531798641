//! Names of classes and their codes.
//!
//! # Invariants
//! - A known name has the same code in every file; unknown names get the next codes in the order
//!   in which they appear.
//! - At most [`CLASSES_MAX`] names are kept.

use std::collections::HashMap;

/// Most names kept apart.
pub(crate) const CLASSES_MAX: usize = 4096;

/// The classes of MOTChallenge, by its own numbers.
pub(crate) const MOT: [(u16, &str); 13] = [
    (1, "Pedestrian"),
    (2, "Person on vehicle"),
    (3, "Car"),
    (4, "Bicycle"),
    (5, "Motorbike"),
    (6, "Non motorized vehicle"),
    (7, "Static person"),
    (8, "Distractor"),
    (9, "Occluder"),
    (10, "Occluder on the ground"),
    (11, "Occluder full"),
    (12, "Reflection"),
    (13, "Crowd"),
];

/// The types of KITTI tracking labels. `Person` is another spelling of `Person_sitting`.
pub(crate) const KITTI: [&str; 9] =
    ["Car", "Van", "Truck", "Pedestrian", "Person_sitting", "Cyclist", "Tram", "Misc", "DontCare"];
const KITTI_ALIAS: (&str, &str) = ("Person", "Person_sitting");

/// The table of a KITTI file: the known types, and those the file adds.
#[derive(Debug, Clone)]
pub(crate) struct ClassTable {
    codes: HashMap<Vec<u8>, u16>,
    names: Vec<String>,
}

impl ClassTable {
    pub(crate) fn kitti() -> Self {
        let mut table = Self { codes: HashMap::new(), names: Vec::new() };
        for name in KITTI {
            table.insert(name);
        }
        if let Some(&code) = table.codes.get(KITTI_ALIAS.1.as_bytes()) {
            table.codes.insert(KITTI_ALIAS.0.as_bytes().to_vec(), code);
        }
        table
    }

    /// The code of `name`.
    #[inline]
    pub(crate) fn code(&self, name: &[u8]) -> Option<u16> {
        // A handful of names: the map costs one short hash.
        self.codes.get(name).copied()
    }

    /// The code of `name`, which is added where it is new and there is room.
    pub(crate) fn code_or_insert(&mut self, name: &str) -> Option<u16> {
        match self.code(name.as_bytes()) {
            Some(code) => Some(code),
            None if self.names.len() < CLASSES_MAX => Some(self.insert(name)),
            None => None,
        }
    }

    /// Codes and names in the order of the codes.
    pub(crate) fn list(&self) -> Vec<(u16, String)> {
        self.names.iter().enumerate().map(|(code, name)| (code as u16, name.clone())).collect()
    }

    /// Names beyond the known ones.
    pub(crate) fn added(&self) -> &[String] {
        self.names.get(KITTI.len()..).unwrap_or_default()
    }

    fn insert(&mut self, name: &str) -> u16 {
        let code = self.names.len() as u16;
        self.names.push(name.to_owned());
        self.codes.insert(name.as_bytes().to_vec(), code);
        code
    }
}
