//! The fields of a block, taken from the front of its bytes.
//!
//! # Invariants
//! - No byte is taken twice, and none that is not there: what ends early is an error.

use crate::error::{FormatError, Result};

/// Bytes of which some are taken already.
pub(super) struct Fields<'a> {
    stored: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Nothing of `stored` is taken yet.
    pub(super) fn new(stored: &'a [u8]) -> Self {
        Self { stored, rest: stored }
    }

    /// What is not taken yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// How many bytes are taken.
    pub(super) fn taken(&self) -> u64 {
        (self.stored.len() - self.rest.len()) as u64
    }

    /// The error that the field just taken has.
    pub(super) fn corrupt(&self, what: impl Into<String>) -> FormatError {
        FormatError::corrupt(self.taken(), what)
    }

    fn truncated(&self) -> FormatError {
        FormatError::truncated(self.stored.len() as u64, "bytes end inside a mini-block")
    }

    /// Takes `count` bytes.
    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(count).ok_or_else(|| self.truncated())?;
        self.rest = rest;
        Ok(bytes)
    }

    /// Takes `N` bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Result<&'a [u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or_else(|| self.truncated())?;
        self.rest = rest;
        Ok(bytes)
    }

    /// Takes what `decode` does not return of the rest; its errors count from there.
    pub(super) fn nested(
        &mut self,
        decode: impl FnOnce(&'a [u8]) -> Result<&'a [u8]>,
    ) -> Result<()> {
        let taken = self.taken();
        self.rest = decode(self.rest).map_err(|error| error.at_base(taken))?;
        Ok(())
    }
}
