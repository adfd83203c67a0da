//! Each program, run as its reader runs it, against a service that plays a script.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod automation;
mod bot;
mod browser;
mod crm;
mod desktop;
mod kb;
mod pages;
mod service;
mod shown;
