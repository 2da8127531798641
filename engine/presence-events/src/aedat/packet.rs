//! Pieces of a known length, gathered from bytes that are cut anywhere.
//!
//! # Invariants
//! - Memory grows with the bytes that came, not with the length that a header claims.

/// Bytes of a piece that is not whole yet.
#[derive(Debug, Default)]
pub(super) struct Gather {
    buffer: Vec<u8>,
}

/// A whole piece: where it was fed, or gathered.
pub(super) enum Piece<'a> {
    /// In the bytes fed.
    Fed(&'a [u8]),
    /// In the buffer, which goes back by [`Gather::recycle`].
    Gathered(Vec<u8>),
}

impl Piece<'_> {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Fed(bytes) => bytes,
            Self::Gathered(bytes) => bytes,
        }
    }
}

impl Gather {
    /// Takes bytes off the front of `rest`; the piece of `need` bytes once it is whole.
    pub(super) fn take<'a>(&mut self, rest: &mut &'a [u8], need: usize) -> Option<Piece<'a>> {
        if self.buffer.is_empty()
            && let Some((piece, after)) = rest.split_at_checked(need)
        {
            *rest = after;
            return Some(Piece::Fed(piece));
        }
        let missing = need.saturating_sub(self.buffer.len());
        let (head, after) = rest.split_at(missing.min(rest.len()));
        self.buffer.extend_from_slice(head);
        *rest = after;
        (self.buffer.len() >= need).then(|| Piece::Gathered(std::mem::take(&mut self.buffer)))
    }

    /// Keeps the memory of a piece for the next one.
    pub(super) fn recycle(&mut self, piece: Piece<'_>) {
        if let Piece::Gathered(mut buffer) = piece {
            buffer.clear();
            self.buffer = buffer;
        }
    }

    /// Bytes gathered of a piece that is not whole.
    pub(super) fn len(&self) -> usize {
        self.buffer.len()
    }
}
