/**
 * IndexedDB as far as the key store uses it, in memory.
 * @param {Map<string, unknown>} [kept]
 */
export function memoryDatabase(kept = new Map()) {
  const answer = (result) => {
    const request = { result };
    queueMicrotask(() => request.onsuccess());
    return request;
  };
  const store = {
    get: (name) => answer(structuredClone(kept.get(name))),
    put: (value, name) => answer(kept.set(name, structuredClone(value)) && undefined),
    delete: (name) => answer(kept.delete(name) && undefined),
  };
  const database = { transaction: () => ({ objectStore: () => store }), close: () => {} };
  return { kept, open: () => answer(database) };
}
