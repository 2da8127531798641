//! Codecs of block payloads.
