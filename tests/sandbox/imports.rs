//! The component's only ways out.

#[test]
fn imports_nothing_but_the_projects_own_interfaces() {
    let names = aurum_host::imports().unwrap();
    let foreign: Vec<_> = names.iter().filter(|name| !name.starts_with("aurum:tracker/")).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
    // As many as `wit/world.wit` lists, and the types that they share.
    assert!(names.len() >= 15, "{names:?}");
}
