/** Rules of firewalls: builders, text and model. Published as `./filter`. */

export * from './build.js';
export type { FilterCounters, FilterLog, FilterOptions, PolicyCounter, RuleCounter, RuleSource } from './filter.js';
export type * from './model.js';
export type { RuleInfo } from './program.js';
export { RuleError, type RuleProblem } from './rule-error.js';
export { parseRules } from './text-parser.js';
export { printRule, printRules } from './text-printer.js';
