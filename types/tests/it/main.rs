//! What is on the wire, seen from outside: the corpus and its snapshots, streams cut anywhere,
//! conversions that lose nothing.

mod cases;
mod corpus;
mod cuts;
mod fuzz;
mod properties;
mod reader;
