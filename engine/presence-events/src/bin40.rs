//! 40 bits an event, as N-MNIST, N-Caltech101 and other data sets of ATIS cameras have them.
//!
//! Five bytes, the first one highest: x (8 bits), y (8), polarity (1), time in microseconds (23).
//! An event with y = 240 is none: the time has overflowed, and 2^13 us are added to all behind it.
//! There is no header, and nothing to know the format by but that times do not fall.
//!
//! # Invariants
//! - Every five bytes are an event or an overflow.

use crate::error::Result;
use crate::header::Header;
use crate::options::Options;
use crate::output::Output;
use crate::report::Report;
use crate::words::Words;

const OVERFLOW_ROW: u8 = 240;
const OVERFLOW_US: i64 = 1 << 13;

/// The state between two words.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bin40 {
    overflow_us: i64,
}

impl Words for Bin40 {
    const BYTES: usize = 5;
    const MARK: Option<u8> = None;

    fn open(_: &Header, _: &[u8], _: &Options) -> Result<Self> {
        Ok(Self::default())
    }

    fn decode(&mut self, words: &[u8], out: &mut Output, _: &mut Report) {
        let columns = out.events.spare(words.len() / 5);
        let mut n = 0;
        for word in words.chunks_exact(5) {
            let [x, y, p, t1, t0] = *word else { continue };
            if y == OVERFLOW_ROW {
                self.overflow_us += OVERFLOW_US;
                continue;
            }
            let places = (columns.t.get_mut(n), columns.x.get_mut(n));
            let others = (columns.y.get_mut(n), columns.p.get_mut(n));
            if let ((Some(at_t), Some(at_x)), (Some(at_y), Some(at_p))) = (places, others) {
                let t = i64::from(p & 0x7F) << 16 | i64::from(t1) << 8 | i64::from(t0);
                *at_t = t + self.overflow_us;
                *at_x = u16::from(x);
                *at_y = u16::from(y);
                *at_p = p >> 7;
                n += 1;
            }
        }
        out.events.commit(n);
    }
}
