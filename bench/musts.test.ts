import { join } from 'node:path'
import { standings } from './musts.ts'
import { REQUIREMENTS } from './requirements.ts'

describe('the requirements of RFC 9293 appendix B', () => {
  const { standings: all, unknown } = standings(join(__dirname, '..'))

  it('are all in the list, each once', () => {
    const numbers = (kind: string, most: number) =>
      Array.from({ length: most }, (_, index) => `${kind}-${index + 1}`)
    expect(REQUIREMENTS.map(({ number }) => number)).toEqual([...numbers('MUST', 69), ...numbers('SHLD', 31)])
  })

  it('each have a test that names them, or a reason why not', () => {
    expect(
      all.filter(({ standing }) => standing === 'untested').map(({ requirement }) => requirement.number),
    ).toEqual([])
  })

  it('that do not apply have no test, and no MUST is done otherwise', () => {
    const excused = all.filter(({ standing }) => standing === 'not applicable' || standing === 'otherwise')
    expect(
      excused.filter(({ tests }) => tests.length > 0).map(({ requirement }) => requirement.number),
    ).toEqual([])
    expect(
      excused.filter(
        ({ requirement, standing }) => standing === 'otherwise' && requirement.number.startsWith('MUST'),
      ),
    ).toEqual([])
  })

  it('that a test names exist', () => {
    expect(unknown).toEqual([])
  })
})
