//! Router, routed experts and the shared expert (spec/model.md 3.8).

use crate::buffer::BufferId;
use crate::builder::Builder;
use crate::inventory::Role;
use crate::op::{ExpertChoice, Op};

/// The feed-forward sublayer: x \[T, D\] -> \[T, D\].
pub fn block(b: &mut Builder, layer: usize, x: BufferId) -> BufferId {
    let routed = routed(b, layer, x);
    let shared = shared(b, layer, x);
    let dims = b.dims(routed);
    let out = b.values("moe_out", &dims);
    b.push("moe_out", Op::Add { a: routed, b: shared, out });
    out
}

fn routed(b: &mut Builder, layer: usize, x: BufferId) -> BufferId {
    let shape = b.shape();
    let logits = b.matmul("router_logits", x, Role::Router, 1);
    let ids = b.ids("router_ids", &[shape.experts_used]);
    let weights = b.values("router_weights", &[shape.experts_used]);
    let choice = if layer < shape.hash_layers {
        ExpertChoice::Table(b.weight(Role::HashExperts))
    } else {
        ExpertChoice::Score { bias: Some(b.weight(Role::RouterBias)) }
    };
    let scale = shape.route_scale;
    b.push("router_ids", Op::RouterSelect { logits, choice, scale, ids, weights });

    let (gate, up) = (b.weight(Role::ExpertGate), b.weight(Role::ExpertUp));
    let clamp = shape.swiglu_clamp[layer];
    let h = b.values("experts_up", &[shape.experts_used, shape.ffn]);
    b.push("experts_up", Op::ExpertsUp { x, ids, weights, gate, up, clamp, out: h });
    let out = b.values("experts_down", &[shape.hidden]);
    let down = b.weight(Role::ExpertDown);
    b.push("experts_down", Op::ExpertsDown { h, ids, down, out });
    out
}

fn shared(b: &mut Builder, layer: usize, x: BufferId) -> BufferId {
    let shape = b.shape();
    let gate = b.matmul("shared_gate", x, Role::SharedGate, 1);
    let up = b.matmul("shared_up", x, Role::SharedUp, 1);
    let out = b.values("shared_swiglu", &[shape.ffn]);
    b.push("shared_swiglu", Op::Swiglu { gate, up, clamp: shape.swiglu_clamp[layer], out });
    b.matmul("shared_down", out, Role::SharedDown, 1)
}
