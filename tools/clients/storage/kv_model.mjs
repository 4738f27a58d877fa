// What a key-value stream must hold, by the rules of 0G's nodes (0G wire, 3.3), kept so simply that it can
// be seen to be right: a state after each transaction that took effect.

/** Access controls by their codes. */
export const OP = {
  grantAdmin: 0x00, renounceAdmin: 0x01, setKeyToSpecial: 0x10, setKeyToNormal: 0x11,
  grantWrite: 0x20, revokeWrite: 0x21, renounceWrite: 0x22,
  grantSpecialWrite: 0x30, revokeSpecialWrite: 0x31, renounceSpecialWrite: 0x32,
};

export const low = (address) => address.toLowerCase();

/** One stream. Keys and values are base64, and keys sort as their bytes. */
export class Model {
  /** Newest last. */
  states = [];

  /** A transaction took effect; the first one makes its sender the admin. */
  commit(seq, sender, { writes = [], controls = [] }) {
    const last = this.states.at(-1)?.state;
    const state = last ? structuredClone(last) : { values: {}, admins: [low(sender)], writers: [], special: [], keyWriters: [] };
    for (const [key, value] of writes) state.values[key] = { version: seq, data: value };
    for (const { op, key, account } of controls) {
      const who = low(account ?? sender);
      const add = (list, item) => { if (!state[list].includes(item)) state[list].push(item); };
      const drop = (list, item) => { state[list] = state[list].filter((other) => other !== item); };
      switch (op) {
        // Who makes himself an admin says nothing new, or nothing that counts.
        case OP.grantAdmin: if (who !== low(sender)) add('admins', who); break;
        case OP.renounceAdmin: drop('admins', who); break;
        case OP.setKeyToSpecial: add('special', key); break;
        case OP.setKeyToNormal: drop('special', key); break;
        case OP.grantWrite: add('writers', who); break;
        case OP.revokeWrite: case OP.renounceWrite: drop('writers', who); break;
        case OP.grantSpecialWrite: add('keyWriters', `${key} ${who}`); break;
        case OP.revokeSpecialWrite: case OP.renounceSpecialWrite: drop('keyWriters', `${key} ${who}`); break;
        default: throw new Error(`no control ${op}`);
      }
    }
    this.states.push({ seq, state });
  }

  /** As of a version, which is the number of a submission; without one as of now. */
  at(version = Infinity) {
    const { state } = this.states.findLast(({ seq }) => seq <= version);
    const size = (data) => Buffer.from(data, 'base64').length;
    const entry = (key) => ({ key, ...state.values[key], size: size(state.values[key].data) });
    const keys = Object.keys(state.values).filter((key) => state.values[key].data !== '').sort(byBytes);
    const mayWrite = (who, key) => state.admins.includes(low(who))
      || (state.special.includes(key) ? state.keyWriters.includes(`${key} ${low(who)}`) : state.writers.includes(low(who)));
    return {
      /** A removed key keeps the version of its removal; one that never was has none. */
      value: (key) => (key in state.values ? { ...entry(key), key: undefined } : { version: 0, data: '', size: 0 }),
      entries: keys.map(entry),
      mayWrite,
      isAdmin: (who) => state.admins.includes(low(who)),
      isWriter: (who) => state.writers.includes(low(who)),
      isSpecial: (key) => state.special.includes(key),
      isKeyWriter: (who, key) => state.keyWriters.includes(`${key} ${low(who)}`),
    };
  }
}

export const byBytes = (a, b) => Buffer.compare(Buffer.from(a, 'base64'), Buffer.from(b, 'base64'));
