// What the provider remembers, in the memory of the process: it outlives one Provider object.

const entries = new Map();

export class Storage {
  #model;

  constructor(model) {
    this.#model = model;
  }

  #key(id) {
    return `${this.#model}:${id}`;
  }

  #findBy(field, value) {
    for (const [key, entry] of entries) {
      if (key.startsWith(`${this.#model}:`) && entry[field] === value) return entry;
    }
    return undefined;
  }

  // The provider looks at the expiry of what it finds; a test run ends before memory matters.
  async upsert(id, payload) {
    entries.set(this.#key(id), payload);
  }

  async find(id) {
    return entries.get(this.#key(id));
  }

  async findByUid(uid) {
    return this.#findBy('uid', uid);
  }

  async findByUserCode(code) {
    return this.#findBy('userCode', code);
  }

  async consume(id) {
    entries.get(this.#key(id)).consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    entries.delete(this.#key(id));
  }

  async revokeByGrantId(grantId) {
    for (const [key, entry] of entries) {
      if (entry.grantId === grantId) entries.delete(key);
    }
  }
}
