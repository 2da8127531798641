//! AEDAT, the formats of iniLabs, iniVation and jAER, in four versions.
//!
//! # Invariants
//! - A camera is known by the name in the header or by a declared sensor size, never assumed.

mod address;
mod flat;
mod lz4;
mod node;
mod packet;
mod v1;
mod v2;
mod v3;
mod v4;

pub(crate) use lz4::compress as lz4_compress;
pub(crate) use v1::Aedat1;
pub(crate) use v2::Aedat2;
pub(crate) use v3::Aedat3Decoder;
pub(crate) use v4::Aedat4Decoder;

use crate::batch::SensorSize;

/// Names of cameras as headers have them, in lower case, and their sensors.
const CAMERAS: &[(&str, u16, u16)] = &[
    ("davis240", 240, 180),
    ("davis346", 346, 260),
    ("davis640", 640, 480),
    ("davis128", 128, 128),
    ("davis208", 208, 192),
    ("sbret10", 240, 180),
    ("dvs128", 128, 128),
    ("dvxplorer_mini", 320, 240),
    ("dvxplorer", 640, 480),
];

/// The sensor of a camera with this name.
fn camera(name: &str) -> Option<SensorSize> {
    let name = name.to_ascii_lowercase();
    let found = CAMERAS.iter().find(|(known, ..)| name.contains(known));
    found.map(|&(_, width, height)| SensorSize { width, height })
}
