//! What tests need and nothing that ships: tiny models, scripted backends, mutators, a fake clock.
//!
//! Read `tiny_model` for model files made from a seed, `scripted` for a backend that does what the
//! test says when it says so, `upstream` for a service behind us that answers what the test says, to the
//! byte, `faults` for a network that breaks, `mutate` for the seeded mutator that ordinary tests and fuzz targets share.

pub mod clock;
pub mod entry;
pub mod faults;
pub mod model;
pub mod mutate;
pub mod quantize;
pub mod rng;
pub mod scripted;
pub mod tiny_model;
pub mod upstream;

pub use clock::FakeClock;
pub use faults::{Fault, FaultyWay, Weather};
pub use model::model;
pub use scripted::{Act, Gate, Script, Scripted};
pub use tiny_model::TinyModel;
pub use upstream::{Asked, FakeUpstream, Framing, Reply};
