//! Several segments, whose headers are made from choices: ranges that overlap, sets that are not
//! whole, chains that lead nowhere.

use presence::device::MemoryDevice;

use crate::fix;
use crate::input::Input;
use crate::opened::check_directory;
use crate::seeds::vector_bodies;

const SEGMENTS_MAX: usize = 6;

/// Each segment takes 16 bytes of choices for its header; its body is that of a golden vector.
pub(crate) fn open_directory_fixed(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let bodies = vector_bodies();
    let mut files = Vec::new();
    for _ in 0..SEGMENTS_MAX {
        if input.is_empty() {
            break;
        }
        let mut bytes = bodies[input.below(bodies.len())].clone();
        let small = |input: &mut Input<'_>| (input.u8() % 8) as u32;
        let number = small(&mut input) + 1;
        let mut put = |at: usize, value: u32| fix::put(&mut bytes, at, &value.to_le_bytes());
        // One in eight is of another database.
        let database = u32::from(input.below(8) == 7);
        put(16, database);
        put(32, number);
        let generation = u32::from(input.u8() % 4);
        put(36, generation);
        let (first, last) = match generation {
            0 => (number, number),
            _ => (1 + small(&mut input), 1 + small(&mut input)),
        };
        put(40, first.min(last));
        put(44, first.max(last));
        let parts = if generation == 0 { 1 } else { 1 + input.u8() as u32 % 3 };
        let part = input.u8() as u32 % parts;
        put(48, part | parts << 16);
        put(52, small(&mut input).min(first.min(last).saturating_sub(1)));
        put(56, 128 + 64 * small(&mut input));
        put(80, if generation == 0 { number } else { number.saturating_sub(part) });
        let flips = input.below(3);
        for _ in 0..flips {
            let at = 128 + input.below(bytes.len() - 128);
            bytes[at] ^= input.u8();
        }
        fix::segment(&mut bytes);
        files.push((format!("seg-{number:08x}.presence"), bytes));
    }
    let files = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
    check_directory(&MemoryDevice::with_files(files));
}
