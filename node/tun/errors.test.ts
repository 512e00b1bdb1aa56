import { constants } from 'node:os'
import { openError, readError, type TunErrorCode } from './errors.ts'

const { errno } = constants

describe('TunError', () => {
  it.each<[string, number, TunErrorCode]>([
    ['open', errno.ENOENT, 'TUN_NO_DEVICE'],
    ['open', errno.ENODEV, 'TUN_NO_DEVICE'],
    ['open', errno.ENXIO, 'TUN_NO_DEVICE'],
    ['open', errno.EACCES, 'TUN_NO_PERMISSION'],
    ['open', errno.EMFILE, 'TUN_OPEN_FAILED'],
    ['setns', errno.ENOENT, 'TUN_NO_NAMESPACE'],
    ['setns', errno.EPERM, 'TUN_NO_PERMISSION'],
    ['TUNSETIFF', errno.EPERM, 'TUN_NO_PERMISSION'],
    ['TUNSETIFF', errno.EBUSY, 'TUN_NAME_TAKEN'],
    ['TUNSETIFF', errno.EINVAL, 'TUN_NAME_TAKEN'],
    ['TUNSETIFF', errno.ENOMEM, 'TUN_OPEN_FAILED'],
    ['TUNSETOFFLOAD', errno.EINVAL, 'TUN_OPEN_FAILED'],
  ])('%s failing with %i is %s', (syscall, number, code) => {
    const error = openError('tun7', number, syscall)
    expect(error.code).toBe(code)
    expect(error.cause).toMatchObject({ errno: number, syscall })
    expect(error.message).toContain('tun7')
  })

  it.each<[number, TunErrorCode]>([
    [77, 'TUN_DELETED'],
    [errno.ENODEV, 'TUN_DELETED'],
    [errno.EIO, 'TUN_DELETED'],
    [errno.EFAULT, 'TUN_READ_FAILED'],
  ])('read failing with %i is %s', (number, code) => {
    expect(readError('tun7', number, 'read').code).toBe(code)
  })

  it('names the system error', () => {
    expect(readError('tun7', 77, 'read').message).toContain('read: EBADFD')
    expect(openError('tun7', errno.EBUSY, 'TUNSETIFF').cause).toMatchObject({ code: 'EBUSY' })
    expect(openError('tun7', 9_999, 'open').cause).toMatchObject({ code: 'errno 9999' })
  })
})
