//! Files people have, as batches.
