//! Everything around inference calls: health, reflection, targets, browsers, compression, sizes.

mod cross_site;
mod health;
mod playground;
mod reflection;
mod targets;
mod web;
mod wire;
