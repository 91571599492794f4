//! The stories, in the order in which they are told.

mod backstop;
mod down;
mod nodes;
mod pods;
mod registration;
mod reports;
mod restarts;
mod roles;

use crate::Story;

/// Names of stories, each a function of a module of this one.
macro_rules! stories {
    ($($module:ident: $($name:ident),+;)+) => {
        vec![$($(Story {
            name: concat!(stringify!($module), "::", stringify!($name)),
            run: |world| Box::pin($module::$name(world)),
        },)+)+]
    };
}

/// All of them.
pub(crate) fn all() -> Vec<Story> {
    stories! {
        pods:
            an_intruder_is_denied,
            an_intruder_by_the_name_of_a_node_is_denied,
            an_intruder_by_another_scheduler_is_denied,
            a_change_that_makes_an_intruder_is_denied,
            a_plain_pod_passes_and_costs_no_call,
            a_broker_is_placed,
            a_workload_of_intruders_passes_with_a_warning;
        nodes:
            a_taint_is_kept,
            a_joining_node_gets_the_taint,
            labels_are_kept,
            heartbeats_and_cordons_pass,
            heartbeats_cost_no_call;
        roles:
            a_role_binding_is_kept,
            a_trusted_principal_may_delete_a_role_binding,
            break_glass_passes_and_is_recorded,
            identities_and_named_items_are_kept,
            a_role_that_a_protected_binding_refers_to_is_kept,
            a_namespace_of_an_instance_is_kept,
            whatever_is_not_protected_can_be_changed;
        registration:
            poolguard_has_its_rights_and_no_others,
            an_edit_is_healed,
            a_deletion_is_healed,
            another_config_is_registered;
        reports:
            what_stands_and_what_is_denied_is_reported,
            reports_that_say_the_same_are_not_written,
            a_report_goes_when_all_is_mended;
        restarts:
            restarts_fail_no_call,
            a_rotation_fails_no_call,
            an_api_server_that_restarts_is_guarded_again,
            restarts_fail_no_call_over_http_1;
        backstop:
            poolguard_answers_before_the_backstop,
            the_api_server_denies_intruders_while_poolguard_is_away,
            other_pods_pass_while_poolguard_is_away,
            a_pool_that_is_added_meanwhile_is_protected_afterwards,
            nothing_of_the_backstop_is_left;
        down:
            a_replica_that_hangs_delays_by_seconds,
            the_registration_stays_at_scale_zero,
            an_intruder_is_refused,
            what_is_no_intruder_passes,
            nodes_pass,
            a_role_binding_is_not_changed,
            what_is_not_protected_passes,
            break_glass_passes,
            everything_is_as_before_afterwards,
            no_condition_has_erred;
    }
}
