//! The component: the world `tracker` of `wit/`, converted to and from the core's own types. No rule lives here.

wit_bindgen::generate!({ path: "../wit", world: "tracker", pub_export_macro: false });

mod exports_impl;
mod ports_impl;

struct Component;

export!(Component);
