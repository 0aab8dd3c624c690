//! Cancelling at any time leaves nothing behind and harms nothing.

use std::time::Instant;

use ds4_model::backend::BackendError;
use ds4_model::plan::LogitRows;
use ds4_model::step::{CancelToken, Token};
use ds4_runtime::answer::{Event, Stop, answer};
use ds4_runtime::engine::{EngineError, Extend};
use ds4_runtime::generate::Flow;

use super::{Random, Rig, ask, cold, request, session, tokenizer};

#[test]
fn cancel_at_any_time_and_go_on() {
    let mut random = Random::new(11);
    println!("seed {}", random.seed);
    let rig = Rig { chunk: 128, ..Rig::default() };
    let mut engine = rig.engine();
    let (lanes, pages) = (engine.lanes_used(), engine.pages_free());
    let tokenizer = tokenizer(&engine);
    let prompt = random.tokens(400);
    let request = request(&prompt, 100);
    let expected = cold(&request, rig);
    let start = Instant::now();
    let mut first = session(&mut engine);
    ask(&mut engine, &mut first, &request).expect("an answer");
    let whole = start.elapsed();
    drop(first);
    let (mut in_prefill, mut in_decode) = (0, 0);
    for _ in 0..12 {
        let mut session = session(&mut engine);
        let cancel = CancelToken::default();
        let at = whole.mul_f64(random.between(0, 1000) as f64 / 1000.0);
        let (token, started) = (cancel.clone(), Instant::now());
        let cancelled = std::thread::scope(|scope| {
            scope.spawn(move || {
                std::thread::sleep(at.saturating_sub(started.elapsed()));
                token.cancel();
            });
            let events = &mut |_: Event<'_>| Flow::Continue;
            answer(&mut engine, &mut session, &tokenizer, &request, &cancel, events)
        });
        let cancelled = cancelled.expect("cancelling is no error");
        if cancelled.stop == Stop::Cancelled {
            assert_eq!(cancelled.tokens, expected.0[..cancelled.tokens.len()]);
            let count = if cancelled.tokens.is_empty() { &mut in_prefill } else { &mut in_decode };
            *count += 1;
        }
        // The same question again, on the same session: as if nothing had been.
        let again = ask(&mut engine, &mut session, &request).expect("an answer");
        let found = (again.tokens, again.metrics.logits_hash);
        assert_eq!(found, expected, "cancelled after {at:?}, then {:?}", again.reuse);
        drop(session);
        assert_eq!((engine.lanes_used(), engine.pages_free()), (lanes, pages), "something leaked");
    }
    println!("cancelled {in_prefill} times in prefill, {in_decode} times in decode");
    assert!(in_prefill > 0 && in_decode > 0);
}

#[test]
fn cancelled_before_it_begins() {
    let mut engine = Rig::default().engine();
    let mut session = session(&mut engine);
    let tokenizer = tokenizer(&engine);
    let prompt = Random::new(2).tokens(20);
    let request = request(&prompt, 5);
    let cancel = CancelToken::default();
    cancel.cancel();
    let events = &mut |_: Event<'_>| Flow::Continue;
    let nothing = answer(&mut engine, &mut session, &tokenizer, &request, &cancel, events);
    let nothing = nothing.expect("cancelling is no error");
    assert_eq!((nothing.stop, nothing.tokens.len()), (Stop::Cancelled, 0));
    assert!(!engine.is_usable(session.lane()).expect("a lane"));
    let saved = session.save(&mut engine).expect_err("there is nothing whole to save");
    assert!(matches!(saved, EngineError::Broken(0)), "{saved}");
    assert_eq!(ask(&mut engine, &mut session, &request).expect("an answer").tokens.len(), 5);
}

#[test]
fn a_lane_left_by_a_failed_step_takes_no_more_tokens() {
    let mut engine = Rig::default().engine();
    let lane = engine.new_lane().expect("a lane");
    let extend = |tokens: &[u32]| Extend {
        lane,
        tokens: tokens.iter().copied().map(Token::Id).collect(),
        sampling: None,
    };
    let cancel = CancelToken::default();
    engine.extend(&[extend(&[1, 2, 3])], LogitRows::None, &[], &cancel).expect("a step");
    cancel.cancel();
    let error = engine.extend(&[extend(&[4])], LogitRows::None, &[], &cancel).err();
    assert!(matches!(error, Some(EngineError::Backend(BackendError::Cancelled))), "{error:?}");
    let go_on = CancelToken::default();
    let error = engine.extend(&[extend(&[4])], LogitRows::None, &[], &go_on).err();
    assert!(matches!(error, Some(EngineError::Broken(0))), "{error:?}");
    assert!(matches!(engine.rewind(lane, 3), Err(EngineError::Rewind { broken: true, .. })));
    engine.reset(lane).expect("a lane");
    engine.extend(&[extend(&[4])], LogitRows::None, &[], &go_on).expect("a step");
    assert_eq!(engine.length(lane).expect("a lane"), 1);
    // An id outlives its lane harmlessly.
    engine.drop_lane(lane).expect("a lane");
    let next = engine.new_lane().expect("a lane");
    assert!(matches!(engine.length(lane), Err(EngineError::UnknownLane(0))));
    assert_eq!(engine.length(next).expect("a lane"), 0);
}

#[test]
fn dropping_a_session_gives_its_lane_back() {
    let mut engine = Rig { lanes: 2, ..Rig::default() }.engine();
    let pages = engine.pages_free();
    let one = session(&mut engine);
    let mut two = session(&mut engine);
    assert!(ds4_runtime::session::Session::new(&mut engine, Default::default()).is_err());
    let prompt = Random::new(3).tokens(300);
    ask(&mut engine, &mut two, &request(&prompt, 1)).expect("an answer");
    assert!(engine.pages_free() < pages);
    std::thread::spawn(move || drop((one, two))).join().expect("dropped elsewhere");
    assert_eq!((engine.lanes_used(), engine.pages_free()), (0, pages));
    session(&mut engine);
}
