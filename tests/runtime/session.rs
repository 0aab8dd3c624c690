//! What is reused, and that it makes no difference to the bits.

use ds4_runtime::engine::EngineError;
use ds4_runtime::session::{Reuse, Session, SessionOptions, Source};

use super::{Random, Rig, ask, cold, request, session};

fn reuse(source: Source, reused: usize, computed: usize) -> Reuse {
    Reuse { source, reused, computed }
}

#[test]
fn session_says_where_tokens_come_from() {
    let mut random = Random::new(1);
    let mut engine = Rig { slack: 4, ..Rig::default() }.engine();
    let mut session = session(&mut engine);
    let prompt = random.tokens(300);
    let first = ask(&mut engine, &mut session, &request(&prompt, 8)).expect("an answer");
    assert_eq!(first.reuse, reuse(Source::Nothing, 0, 300));
    // All but the last token drawn are in the cache.
    let mut whole = [prompt.clone(), first.tokens.clone()].concat();
    assert_eq!(session.tokens(), &whole[..307]);
    assert_eq!(session.checkpoints().lengths(), [256]);

    let mut expect = |prompt: &[u32], expected: Reuse| {
        assert_eq!(session.reuse(&engine, prompt).expect("a lane"), expected);
        let answer = ask(&mut engine, &mut session, &request(prompt, 1)).expect("an answer");
        assert_eq!(answer.reuse, expected);
        assert_eq!(answer.metrics.prefilled, expected.computed);
        assert_eq!(session.tokens(), prompt);
    };
    // The conversation goes on.
    whole.extend(random.tokens(20));
    expect(&whole, reuse(Source::Live, 307, 21));
    // The same once more: the last token must be computed again, which the slack gives.
    expect(&whole, reuse(Source::Rewind, 327, 1));
    // Three tokens back.
    whole.truncate(325);
    expect(&whole, reuse(Source::Rewind, 324, 1));
    // The prompt is asked again: beyond the slack.
    expect(&prompt, reuse(Source::Checkpoint, 256, 44));
    // Another one that differs at 280, and one that differs before the first checkpoint.
    let mut other = prompt.clone();
    other[280] ^= 1;
    expect(&other, reuse(Source::Checkpoint, 256, 44));
    other[255] ^= 1;
    expect(&other, reuse(Source::Nothing, 0, 300));
    // Short ones too.
    expect(&other[..40], reuse(Source::Nothing, 0, 40));
    expect(&other[..41], reuse(Source::Live, 40, 1));
}

#[test]
fn session_gives_the_bits_of_a_cold_start() {
    let mut random = Random::new(20_261_123);
    println!("seed {}", random.seed);
    let rig = Rig { slack: 3, ..Rig::default() };
    let mut engine = rig.engine();
    let mut session = session(&mut engine);
    let mut tokens = random.tokens(200);
    let mut seen = [0; 4];
    for round in 0..24 {
        // Grow, cut and change somewhere.
        let kept = match round % 4 {
            0 => tokens.len(),
            1 => tokens.len().saturating_sub(random.between(1, 4)).max(1),
            _ => random.between(1, tokens.len()),
        };
        tokens.truncate(kept);
        let more = random.between(0, 150).min(900 - kept.min(900));
        tokens.extend(random.tokens(more));
        let request = request(&tokens, 3);
        let warm = ask(&mut engine, &mut session, &request).expect("an answer");
        seen[warm.reuse.source as usize] += 1;
        assert_eq!(warm.reuse.reused + warm.reuse.computed, tokens.len());
        let found = (warm.tokens.clone(), warm.metrics.logits_hash);
        assert_eq!(found, cold(&request, rig), "round {round}: {:?}", warm.reuse);
        tokens.extend(&warm.tokens[..2]);
    }
    println!("nothing, live, rewind, checkpoint: {seen:?}");
    assert!(seen.iter().all(|&count| count > 0), "{seen:?}: a way of reuse was not tried");
}

#[test]
fn session_resumed_elsewhere_goes_on_with_the_same_bits() {
    let mut random = Random::new(5);
    println!("seed {}", random.seed);
    let rig = Rig { lanes: 3, ..Rig::default() };
    let (mut one, mut other) = (rig.engine(), rig.engine());
    // Other lanes and pages than the saved ones.
    let mut neighbour = session(&mut other);
    let filler = random.tokens(150);
    ask(&mut other, &mut neighbour, &request(&filler, 1)).expect("an answer");
    for _ in 0..12 {
        let cut = random.between(1, 400);
        let prompt = random.tokens(cut);
        let mut whole = session(&mut one);
        let first = ask(&mut one, &mut whole, &request(&prompt, 5)).expect("an answer");
        let saved = whole.save(&mut one).expect("a lane");
        assert_eq!((saved.image.length, saved.tokens.len()), (cut + 4, cut + 4));
        let options = SessionOptions::default();
        let mut resumed = Session::resume(&mut other, &saved, options).expect("a lane");
        let longer = [&prompt[..], &first.tokens, &random.tokens(9)].concat();
        let request = request(&longer, 6);
        let [here, there] = [(&mut one, &mut whole), (&mut other, &mut resumed)]
            .map(|(engine, session)| ask(engine, session, &request).expect("an answer"));
        assert_eq!(there.reuse, reuse(Source::Live, cut + 4, 10));
        assert_eq!(here.tokens, there.tokens, "cut at {cut}");
        assert_eq!(here.metrics.logits_hash, there.metrics.logits_hash, "cut at {cut}");
    }
}

#[test]
fn session_refuses_an_image_that_does_not_fit() {
    let mut random = Random::new(6);
    let mut engine = Rig { lanes: 2, ..Rig::default() }.engine();
    let mut session = session(&mut engine);
    let prompt = random.tokens(140);
    ask(&mut engine, &mut session, &request(&prompt, 1)).expect("an answer");
    let saved = session.save(&mut engine).expect("a lane");
    let (lanes, pages) = (engine.lanes_used(), engine.pages_free());
    let options = SessionOptions::default();
    let mut short = saved.clone();
    short.image.pages.pop();
    let error = Session::resume(&mut engine, &short, options).expect_err("a page is missing");
    assert!(matches!(error, EngineError::Image { length: 140, found: 1, pages: 2 }), "{error}");
    let mut cut = saved.clone();
    cut.image.tail.pop();
    let error = Session::resume(&mut engine, &cut, options).expect_err("the tail is cut");
    assert!(error.to_string().contains("tail"), "{error}");
    let mut torn = saved.clone();
    torn.image.pages[0].push(0);
    assert!(Session::resume(&mut engine, &torn, options).is_err());
    // Nothing stays behind.
    assert_eq!((engine.lanes_used(), engine.pages_free()), (lanes, pages));
}
