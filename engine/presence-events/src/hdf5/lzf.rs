//! LZF, the filter that comes with h5py.
//!
//! # Invariants
//! - The output is bounded; what refers to before its begin is refused.

/// What `packed` unpacks to, at most `most` bytes.
pub(super) fn decompress(packed: &[u8], most: usize) -> Result<Vec<u8>, &'static str> {
    const FAULT: &str = "an LZF chunk that does not unpack";
    let mut content: Vec<u8> = Vec::new();
    let mut rest = packed.iter();
    while let Some(&control) = rest.next() {
        let length = usize::from(control >> 5);
        if length == 0 {
            let literals = usize::from(control) + 1;
            let bytes = rest.as_slice().get(..literals).ok_or(FAULT)?;
            content.extend_from_slice(bytes);
            rest = rest.as_slice().get(literals..).unwrap_or_default().iter();
        } else {
            let mut next = || rest.next().map(|&byte| usize::from(byte)).ok_or(FAULT);
            let length = if length == 7 { 7 + next()? } else { length } + 2;
            let distance = (usize::from(control & 31) << 8 | next()?) + 1;
            repeat(&mut content, distance, length).ok_or(FAULT)?;
        }
        if content.len() > most {
            return Err(FAULT);
        }
    }
    Ok(content)
}

/// Appends `length` bytes that begin `distance` before the end, which they may run over.
pub(super) fn repeat(content: &mut Vec<u8>, distance: usize, length: usize) -> Option<()> {
    let start = content.len().checked_sub(distance).filter(|_| distance > 0)?;
    let end = start + length;
    if end <= content.len() {
        content.extend_from_within(start..end);
        return Some(());
    }
    for at in start..end {
        let byte = content.get(at).copied()?;
        content.push(byte);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_repeats() {
        assert_eq!(decompress(&[2, 1, 2, 3, 0x20, 1], 100).unwrap(), [1, 2, 3, 2, 3, 2]);
        assert_eq!(decompress(&[0, 7, 0xE0, 1, 0], 100).unwrap(), [7; 11]);
        assert!(decompress(&[0, 7, 0xE0, 250, 0], 100).is_err(), "too much");
        assert!(decompress(&[0, 7, 0x20, 1], 100).is_err(), "before the begin");
        assert!(decompress(&[3, 7], 100).is_err(), "cut");
    }
}
