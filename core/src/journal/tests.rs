//! What a merge of journals gives, whatever was cut off of them, against a model.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "tests")]

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::journal::event::{Event, Joined, Measurement};
use crate::journal::fold::State;
use crate::journal::frame::{self, Decoded};
use crate::journal::merge::Merge;
use crate::metrics::Number;
use crate::testing::World;

const ID: &str = "0f6a1c1e-5b0e-4d6c-9a3f-0123456789ab";
const NAMES: [&str; 4] = ["loss", "accuracy", "val/loss", "rate"];

/// One thing that a process does: what, and how many milliseconds after the thing before. The clock may jump back.
#[derive(Clone, Debug)]
enum Step {
    Log {
        metric: usize,
        value: i64,
    },
    Print {
        text: String,
    },
    /// In a form that does not say when it was, as an older version wrote it.
    PrintUntimed {
        text: String,
    },
}

fn step() -> impl Strategy<Value = (Step, i64)> {
    let step = prop_oneof![
        (0..NAMES.len(), any::<i64>()).prop_map(|(metric, value)| Step::Log { metric, value }),
        "[a-z]{1,8}\n".prop_map(|text| Step::Print { text }),
        "[a-z]{1,8}\n".prop_map(|text| Step::PrintUntimed { text }),
    ];
    (step, -5i64..20)
}

/// What one event amounts to, in a form to compare.
#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Value { process: u32, time: u64, name: String, value: i64 },
    Text { process: u32, time: u64, text: String },
}

/// A process: the bytes of its journal, and for each whole frame where it ends and what it is worth.
struct Written {
    bytes: Vec<u8>,
    ends: Vec<(usize, u64, Option<Seen>)>,
}

fn write(process: u32, steps: &[(Step, i64)]) -> Written {
    let mut written = Written { bytes: Vec::new(), ends: Vec::new() };
    let (mut sequence, mut clock, mut latest) = (0, 0i64, 0);
    let mut numbers: BTreeMap<usize, u32> = BTreeMap::new();
    let mut push = |event: &Event<'_>, time: Option<u64>, seen: &dyn Fn(u64) -> Option<Seen>| {
        frame::push(&mut written.bytes, event.kind(), sequence, |payload| event.encode(payload));
        sequence += 1;
        latest = latest.max(time.unwrap_or(0));
        written.ends.push((written.bytes.len(), latest, seen(latest)));
    };
    push(&Event::Joined(Joined { id: ID.into(), elapsed: 0 }), Some(0), &|_| None);
    for (step, later) in steps {
        clock = (clock + later).max(0);
        let elapsed = clock as u64;
        match step {
            Step::Log { metric, value } => {
                let known = numbers.len() as u32;
                let number = *numbers.entry(*metric).or_insert_with(|| {
                    push(&Event::Metric { number: known, name: NAMES[*metric].into() }, None, &|_| None);
                    known
                });
                let measurements = vec![Measurement { metric: number, step: 0, value: Number::Integer(*value) }];
                push(&Event::Measured { elapsed, measurements }, Some(elapsed), &|time| {
                    Some(Seen::Value { process, time, name: NAMES[*metric].into(), value: *value })
                });
            }
            Step::Print { text } | Step::PrintUntimed { text } => {
                let elapsed = matches!(step, Step::Print { .. }).then_some(elapsed);
                push(&Event::Output { elapsed, stream: 1, bytes: text.as_bytes().into() }, elapsed, &|time| {
                    Some(Seen::Text { process, time, text: text.clone() })
                });
            }
        }
    }
    written
}

/// The model: what is whole of each, sorted by time and then by number, each in its own order.
fn expected(processes: &[(Written, usize)]) -> Vec<Seen> {
    let mut all: Vec<(u64, usize, usize, Seen)> = Vec::new();
    for (process, (written, cut)) in processes.iter().enumerate() {
        for (order, (_, time, seen)) in written.ends.iter().enumerate().filter(|(_, (end, ..))| end <= cut) {
            all.extend(seen.clone().map(|seen| (*time, process, order, seen)));
        }
    }
    all.sort_by_key(|(time, process, order, _)| (*time, *process, *order));
    all.into_iter().map(|(.., seen)| seen).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_merge_is_what_a_sort_would_give(
        processes in proptest::collection::vec((proptest::collection::vec(step(), 0..14), any::<prop::sample::Index>(), any::<bool>()), 1..6)
    ) {
        let world = World::project();
        let mut written = Vec::new();
        let mut children = Vec::new();
        for (number, (steps, cut, whole)) in processes.iter().enumerate() {
            let one = write(number as u32, steps);
            let cut = if *whole { one.bytes.len() } else { cut.index(one.bytes.len() + 1) };
            if number % 2 == 0 {
                // Its process died in the middle of an append.
                world.set_part(ID, number as u32, one.bytes[..cut].to_vec());
                children.push((number as u32, cut as u64 + 100));
            } else {
                // It goes on writing: so many bytes of it count.
                world.set_part(ID, number as u32, one.bytes.clone());
                children.push((number as u32, cut as u64));
            }
            written.push((one, cut));
        }
        let ports = world.ports();
        let mut seen = Vec::new();
        let state = State::merge(&*ports.journal, ID, &children[1..], &mut |state, moment| {
            let (process, time) = (moment.process, moment.elapsed);
            match &moment.event {
                Event::Measured { measurements, .. } => {
                    let Measurement { metric, value: Number::Integer(value), .. } = measurements[0] else { panic!() };
                    seen.push(Seen::Value { process, time, name: state.names[metric as usize].clone(), value });
                }
                Event::Output { bytes, .. } => {
                    seen.push(Seen::Text { process, time, text: String::from_utf8(bytes.to_vec()).unwrap() });
                }
                _ => {}
            }
            Ok(())
        }).unwrap();
        let expected = expected(&written);
        prop_assert_eq!(&seen, &expected);
        // The statistics are those of that order.
        let (summaries, more) = state.summaries();
        prop_assert_eq!(more, 0);
        let mut model: BTreeMap<String, (i64, i64, i64, u64)> = BTreeMap::new();
        for seen in expected {
            let Seen::Value { name, value, .. } = seen else { continue };
            let (last, min, max, count) = model.entry(name).or_insert((value, value, value, 0));
            (*last, *min, *max, *count) = (value, value.min(*min), value.max(*max), *count + 1);
        }
        let told: BTreeMap<String, (i64, i64, i64, u64)> = summaries.into_iter().map(|(name, statistics)| {
            let integer = |number: &Number| if let Number::Integer(integer) = number { *integer } else { panic!() };
            (name, (integer(&statistics.last), integer(&statistics.min), integer(&statistics.max), statistics.count))
        }).collect();
        prop_assert_eq!(told, model);
        // What the run's own journal is continued with does not depend on the others.
        let (one, cut) = &written[0];
        let whole = one.ends.iter().filter(|(end, ..)| end <= cut);
        prop_assert_eq!(state.sequence, whole.clone().count() as u64);
        prop_assert_eq!(state.length, whole.map(|(end, ..)| *end as u64).max().unwrap_or(0));
    }

    #[test]
    fn damage_in_a_childs_journal_costs_that_child_alone(
        steps in proptest::collection::vec(step(), 1..10), at in any::<prop::sample::Index>(), bit in 0u8..8
    ) {
        let world = World::project();
        world.set_part(ID, 0, write(0, &steps).bytes);
        let mut damaged = write(1, &steps).bytes;
        let at = at.index(damaged.len());
        damaged[at] ^= 1 << bit;
        let size = damaged.len() as u64;
        world.set_part(ID, 1, damaged);
        let ports = world.ports();
        let mut own = 0;
        let merged = State::merge(&*ports.journal, ID, &[(1, size)], &mut |_, moment| {
            own += usize::from(moment.process == 0);
            Ok(())
        });
        // A wrong bit never makes another event of a frame.
        prop_assert!(merged.is_ok());
        let alone = write(0, &steps).ends.len();
        prop_assert_eq!(own, alone);
    }
}

#[test]
fn pages_grow_small_where_there_are_many() {
    let world = World::project();
    let children: Vec<(u32, u64)> = (1..3_000)
        .map(|number| {
            let bytes =
                write(number, &[(Step::Print { text: format!("{number}\n") }, i64::from(3_000 - number))]).bytes;
            let size = bytes.len() as u64;
            world.set_part(ID, number, bytes);
            (number, size)
        })
        .collect();
    world.set_part(ID, 0, write(0, &[]).bytes);
    let ports = world.ports();
    let mut merge = Merge::new(&*ports.journal, ID, &children).unwrap();
    let mut last = 0;
    let mut count = 0;
    while let Some(moment) = merge.next_moment().unwrap() {
        assert!(moment.elapsed >= last);
        last = moment.elapsed;
        count += usize::from(matches!(moment.event, Event::Output { .. }));
    }
    assert_eq!(count, 2_999);
}

#[test]
fn what_says_when_it_was_is_known_without_reading_all_of_it() {
    let events = [
        (Event::Output { elapsed: Some(700), stream: 2, bytes: b"x"[..].into() }, Some(700)),
        (Event::Output { elapsed: None, stream: 2, bytes: b"x"[..].into() }, None),
        (Event::Measured { elapsed: u64::MAX, measurements: vec![] }, Some(u64::MAX)),
        (Event::Joined(Joined { id: ID.into(), elapsed: 3 }), Some(3)),
        (Event::Metric { number: 0, name: "a".into() }, None),
        (Event::Done, None),
    ];
    for (event, elapsed) in events {
        let mut bytes = Vec::new();
        frame::encode(&mut bytes, event.kind(), 0, |payload| event.encode(payload));
        let Decoded::Frame(found, _) = frame::decode(&bytes) else { panic!() };
        assert_eq!(crate::journal::event::elapsed(found.kind, found.payload), elapsed);
        assert_eq!(Event::decode(found.kind, found.payload).unwrap(), event);
    }
}
