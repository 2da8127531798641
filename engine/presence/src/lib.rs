//! An embedded time-series storage engine.
